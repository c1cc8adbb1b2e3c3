# expect: scheduler-before-optimizer-step
import torch
from transformers import get_linear_schedule_with_warmup

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
scheduler = get_linear_schedule_with_warmup(optimizer, 100, 1000)
for batch in loader:
    loss = model(batch).mean()
    loss.backward()
    scheduler.step()
    optimizer.step()
    optimizer.zero_grad()
