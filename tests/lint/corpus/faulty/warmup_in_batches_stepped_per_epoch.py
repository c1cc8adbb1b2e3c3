# expect: schedule-interval
import torch
from transformers import get_cosine_schedule_with_warmup

num_epochs = 3
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)
total = len(train_dataloader) * num_epochs
lr_scheduler = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=100, num_training_steps=total)
for epoch in range(num_epochs):
    for batch in train_dataloader:
        loss = model(batch).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    lr_scheduler.step()
