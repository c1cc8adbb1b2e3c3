# expect: optimizer-before-move
import torch
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model = model.to(device)
