import deepspeed
import torch
model, optimizer, _, scheduler = deepspeed.initialize(model=net, config="ds.json", model_parameters=net.parameters())
for step, batch in enumerate(loader):
    loss = model(batch)
    model.backward(loss)
    model.step()
