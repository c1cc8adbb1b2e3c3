# expect: uncalled-method
import torch

model = torch.nn.Linear(2, 2)
model.eval
with torch.inference_mode():
    print(model(torch.zeros(1, 2)))
