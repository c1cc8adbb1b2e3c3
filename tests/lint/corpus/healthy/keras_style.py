import torch
class Model(torch.nn.Module):
    def fit(self, x, y, epochs):
        opt = torch.optim.Adam(self.parameters())
        for _ in range(epochs):
            opt.zero_grad()
            loss = torch.nn.functional.mse_loss(self(x), y)
            loss.backward()
            opt.step()
    def predict(self, x):
        self.eval()
        with torch.no_grad():
            return self(x)
