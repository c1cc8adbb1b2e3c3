# expect: eval-never-undone
import torch
from torchvision.models import resnet50

model = resnet50(weights="DEFAULT")
model.eval()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for x, y in train_loader:
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
