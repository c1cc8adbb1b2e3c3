import torch
from torch.utils.data import DataLoader
memory_loader = DataLoader(memory_data, batch_size=512, shuffle=False)
train_eval_loader = DataLoader(train_data, batch_size=512, shuffle=False)
