# expect: data-write
import torch
def ema_update(model, ema, decay):
    for p, q in zip(model.parameters(), ema.parameters()):
        q.data = decay * q.data + (1 - decay) * p.data
