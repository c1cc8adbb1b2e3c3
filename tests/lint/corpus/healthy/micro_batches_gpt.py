import torch
import torch.distributed as dist

for step in range(num_iterations):
    model.train()
    optimizer.zero_grad(set_to_none=True)
    lossf = 0.0
    for micro_step in range(grad_accum_steps):
        x, y = train_loader.next_batch()
        with ctx:
            _, loss = model(x, y, return_logits=False)
            loss = loss / grad_accum_steps
            lossf += loss.detach()
        loss.backward()
    if ddp:
        dist.all_reduce(lossf, op=dist.ReduceOp.AVG)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for param_group in optimizer.param_groups:
        param_group["lr"] = get_lr(step)
    optimizer.step()
