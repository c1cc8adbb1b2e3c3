import steadytrain as st
import torch
guard = st.Guard().attach(model, optimizer, scheduler=scheduler)
for batch in guard.batches(loader):
    with guard.step(batch) as step:
        step.backward(loss_fn(model, batch))
watch = st.watch(model, optimizer)
for batch in loader:
    loss = loss_fn(model, batch)
    loss.backward()
    watch.clip_grad_norm_(1.0)
    optimizer.step()
    optimizer.zero_grad()
    watch.log(loss=loss)
