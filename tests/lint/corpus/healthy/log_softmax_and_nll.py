import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = self.dropout1(torch.flatten(x, 1))
        x = self.fc2(x)
        output = F.log_softmax(x, dim=1)
        return output


model = Net()
for data, target in train_loader:
    loss = F.nll_loss(model(data), target)
