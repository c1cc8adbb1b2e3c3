# expect: dropout-rate
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, keep=0.9):
        super().__init__()
        self.drop = nn.Dropout(0.9)
        self.fc = nn.Linear(4, 4)
