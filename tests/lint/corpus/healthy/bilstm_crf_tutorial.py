import torch
import torch.nn as nn
import torch.optim as optim
def log_sum_exp(vec):
    max_score = vec[0, vec.argmax()]
    return max_score + torch.log(torch.sum(torch.exp(vec - max_score.view(1, -1))))
model = BiLSTM_CRF(len(w), t, 5, 4)
optimizer = optim.SGD(model.parameters(), lr=0.01, weight_decay=1e-4)
for epoch in range(300):
    for sentence, tags in training_data:
        model.zero_grad()
        loss = model.neg_log_likelihood(sentence, tags)
        loss.backward()
        optimizer.step()
