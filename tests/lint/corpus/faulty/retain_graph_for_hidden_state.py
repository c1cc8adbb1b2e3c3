# expect: retain-graph-in-loop
import torch
from torch import nn

rnn = nn.LSTM(10, 20)
head = nn.Linear(20, 2)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()])
hidden = None
for x, y in loader:
    optimizer.zero_grad()
    out, hidden = rnn(x, hidden)
    loss = nn.functional.cross_entropy(head(out[-1]), y)
    loss.backward(retain_graph=True)
    optimizer.step()
