# expect: eval-never-undone
import torch
@torch.no_grad()
def estimate_loss(model):
    out = {}
    model.eval()
    for split in ["train", "val"]:
        losses = torch.zeros(10)
        for k in range(10):
            x, y = get_batch(split)
            _, loss = model(x, y)
            losses[k] = loss.item()
        out[split] = losses.mean()
    return out
model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for it in range(5000):
    if it % 500 == 0:
        print(estimate_loss(model))
    x, y = get_batch("train")
    _, loss = model(x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
