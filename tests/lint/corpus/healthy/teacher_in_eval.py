import torch
import torch.nn.functional as F

teacher = torch.nn.Linear(4, 3)
student = torch.nn.Linear(4, 3)
teacher.eval()
optimizer = torch.optim.Adam(student.parameters())
T = 4.0
for x, y in train_loader:
    with torch.no_grad():
        t = teacher(x)
    s = student(x)
    loss = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean") * T * T
    loss = loss + F.cross_entropy(s, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
