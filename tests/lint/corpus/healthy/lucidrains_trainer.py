import torch
from accelerate import Accelerator
from ema_pytorch import EMA


class Trainer:
    def __init__(self, diffusion_model, dl, lr=1e-4, every=2, steps=100000, amp=False):
        self.accelerator = Accelerator(mixed_precision="fp16" if amp else "no")
        self.model = diffusion_model
        self.gradient_accumulate_every = every
        self.train_num_steps = steps
        self.opt = torch.optim.Adam(diffusion_model.parameters(), lr=lr, betas=(0.9, 0.99))
        self.ema = EMA(diffusion_model, beta=0.995)
        self.ema.to("cuda")
        self.dl = dl
        self.step = 0
        self.model, self.opt = self.accelerator.prepare(self.model, self.opt)

    def train(self):
        accelerator = self.accelerator
        while self.step < self.train_num_steps:
            self.model.train()
            total_loss = 0.0
            for _ in range(self.gradient_accumulate_every):
                data = next(self.dl)
                with self.accelerator.autocast():
                    loss = self.model(data)
                    loss = loss / self.gradient_accumulate_every
                    total_loss += loss.item()
                self.accelerator.backward(loss)
            accelerator.wait_for_everyone()
            accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
            self.opt.step()
            self.opt.zero_grad()
            self.step += 1
            if accelerator.is_main_process:
                self.ema.update()
                if self.step % 1000 == 0:
                    self.ema.ema_model.eval()
                    with torch.no_grad():
                        self.ema.ema_model.sample(batch_size=16)
