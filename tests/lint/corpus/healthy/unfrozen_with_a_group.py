import torch


def fit(model, loader, epochs):
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    model.encoder.requires_grad_(True)
    optimizer.add_param_group({"params": model.encoder.parameters(), "lr": 1e-5})
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            loss = torch.nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
