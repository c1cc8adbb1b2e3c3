import torch

enc, dec = torch.nn.Linear(4, 2), torch.nn.Linear(2, 4)
enc_opt = torch.optim.SGD(enc.parameters(), lr=0.1)
dec_opt = torch.optim.SGD(dec.parameters(), lr=0.1)
for x in loader:
    enc_opt.zero_grad()
    dec_opt.zero_grad()
    loss = (dec(enc(x)) - x).pow(2).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(enc.parameters(), 1.0)
    enc_opt.step()
    torch.nn.utils.clip_grad_norm_(dec.parameters(), 1.0)
    dec_opt.step()
