import torch
import torchmetrics
acc = torchmetrics.Accuracy(task="multiclass", num_classes=3)
def validate(model, val_loader):
    model.eval()
    acc.reset()
    with torch.inference_mode():
        for x, y in val_loader:
            acc.update(model(x), y)
    return acc.compute()
for epoch in range(3):
    model.train()
    for x, y in train_loader:
        logits = model(x)
        loss = torch.nn.functional.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        acc.update(logits.detach().softmax(-1), y)
    validate(model, val_loader)
