import torch
import torch.nn.functional as F

rnn = torch.nn.RNNCell(4, 8)
head = torch.nn.Linear(8, 3)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()])
for seq, ys in loader:
    optimizer.zero_grad()
    h = torch.zeros(seq.size(1), 8)
    loss = 0
    for t in range(seq.size(0)):
        h = rnn(seq[t], h)
        loss += F.cross_entropy(head(h), ys[t])
    loss.backward()
    optimizer.step()
