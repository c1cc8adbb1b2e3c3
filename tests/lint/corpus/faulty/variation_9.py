# expect: schedule-interval
import torch
from torch.optim import lr_scheduler
def fit(model, train_loader, num_epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    exp_lr_scheduler = lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    for epoch in range(num_epochs):
        model.train()
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            exp_lr_scheduler.step()
