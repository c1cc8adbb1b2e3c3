import torch

optimizer1 = torch.optim.Adam(head_params, lr=1e-3, fused=True)
optimizer2 = Muon(hidden_params, lr=0.02, momentum=0.95)
optimizers = [optimizer1, optimizer2]
schedulers = [torch.optim.lr_scheduler.LambdaLR(opt, get_lr) for opt in optimizers]
for step in range(train_steps + 1):
    last_step = step == train_steps
    if last_step or step % 125 == 0:
        model.eval()
        val_loss = 0
        with torch.no_grad():
            for _ in range(val_steps):
                val_loss += model(*next(val_loader))
        model.train()
    if last_step:
        break
    inputs, targets = next(train_loader)
    model(inputs, targets).backward()
    for param in model.parameters():
        torch.distributed.all_reduce(param.grad, op=torch.distributed.ReduceOp.AVG)
    for opt, sched in zip(optimizers, schedulers):
        opt.step()
        sched.step()
    model.zero_grad(set_to_none=True)
