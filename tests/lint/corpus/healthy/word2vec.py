import torch
import torch.nn as nn
losses = []
loss_function = nn.NLLLoss()
class NGram(nn.Module):
    def __init__(self, v, d, c):
        super().__init__()
        self.embeddings = nn.Embedding(v, d)
        self.linear1 = nn.Linear(c * d, 128)
        self.linear2 = nn.Linear(128, v)
    def forward(self, inputs):
        embeds = self.embeddings(inputs).view((1, -1))
        out = torch.relu(self.linear1(embeds))
        out = self.linear2(out)
        return nn.functional.log_softmax(out, dim=1)
model = NGram(10, 10, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
for epoch in range(10):
    total_loss = 0
    for context, target in trigrams:
        model.zero_grad()
        log_probs = model(torch.tensor(context))
        loss = loss_function(log_probs, torch.tensor([target]))
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    losses.append(total_loss)
