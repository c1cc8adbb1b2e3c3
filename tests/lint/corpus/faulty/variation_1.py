# expect: missing-zero-grad
import torch, torch.nn as nn
def main():
    model = nn.Linear(1, 1)
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    y = x * 2
    for i in range(100):
        pred = model(x)
        loss = nn.functional.mse_loss(pred, y)
        loss.backward()
        opt.step()
main()
