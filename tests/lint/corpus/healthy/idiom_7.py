import lightning as L
import torch
class DM(L.LightningDataModule):
    def train_dataloader(self):
        return torch.utils.data.DataLoader(self.train_ds, batch_size=4, shuffle=True)
    def val_dataloader(self):
        return torch.utils.data.DataLoader(self.val_ds, batch_size=4)
class M(L.LightningModule):
    def training_step(self, batch, i):
        loss = self.compute(batch)
        if torch.isnan(loss):
            return None
        return loss
    def validation_step(self, batch, i):
        x, y = batch
        for xx in x:
            self(xx)
    def predict_step(self, batch, i):
        return torch.softmax(self(batch), 1)
