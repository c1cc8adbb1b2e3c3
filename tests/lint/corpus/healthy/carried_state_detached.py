import torch
from torch import nn

rnn = nn.LSTM(10, 20)
head = nn.Linear(20, 2)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()])
state = None
for x, y in loader:
    optimizer.zero_grad()
    if state is not None:
        state = tuple(s.detach() for s in state)
    out, state = rnn(x, state)
    loss = nn.functional.cross_entropy(head(out[-1]), y)
    loss.backward()
    optimizer.step()
