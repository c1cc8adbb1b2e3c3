import torch
from torch.utils.data import DataLoader
def get_loaders(train_set, val_set, args):
    kw = dict(num_workers=4)
    train_loader = DataLoader(train_set, args.bs, True, **kw)
    other = DataLoader(train_set, batch_size=4, shuffle=not args.debug)
    val_loader = DataLoader(val_set, args.bs, False, **kw)
    return train_loader, val_loader
