# expect: accumulation-not-divided
import torch
from torch import nn

model = nn.Linear(6, 2)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
accum_iter = 4
model.train()
for batch_idx, (inputs, labels) in enumerate(data_loader):
    inputs = inputs.to("cuda")
    preds = model(inputs)
    loss = criterion(preds, labels)
    loss.backward()
    if ((batch_idx + 1) % accum_iter == 0) or (batch_idx + 1 == len(data_loader)):
        optimizer.step()
        optimizer.zero_grad()
