import torch
def main():
    engine = Engine()
    for batch in loader:
        out = engine(batch)
        loss = out.loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(engine.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        for p in engine.parameters():
            p.grad = None
