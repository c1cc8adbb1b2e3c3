"""A Lightning module with its loaders and trainer."""
import lightning as L
import torch
import torch.nn.functional as F
from torch import nn, optim, utils
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor


class LitAutoEncoder(L.LightningModule):
    def __init__(self, encoder, decoder, lr=1e-3):
        super().__init__()
        self.save_hyperparameters(ignore=["encoder", "decoder"])
        self.encoder = encoder
        self.decoder = decoder
        self.validation_step_outputs = []

    def forward(self, x):
        return self.encoder(x.view(x.size(0), -1))

    def training_step(self, batch, batch_idx):
        loss = self._shared_step(batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, batch_idx):
        loss = self._shared_step(batch)
        self.validation_step_outputs.append(loss)
        self.log("val_loss", loss)
        return loss

    def on_validation_epoch_end(self):
        mean = torch.stack(self.validation_step_outputs).mean()
        self.log("val_mean", mean)
        self.validation_step_outputs.clear()

    def _shared_step(self, batch):
        x, _ = batch
        x = x.view(x.size(0), -1)
        z = self.encoder(x)
        x_hat = self.decoder(z)
        return nn.functional.mse_loss(x_hat, x)

    def configure_optimizers(self):
        optimizer = optim.AdamW(self.parameters(), lr=self.hparams.lr)
        scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.trainer.max_epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"}}


class ImageClassifier(L.LightningModule):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self.model(x)
        loss = F.cross_entropy(logits, y.long())
        return {"loss": loss, "preds": logits.argmax(-1).detach()}

    def configure_optimizers(self):
        return torch.optim.Adadelta(self.parameters(), lr=1.0)


encoder = nn.Sequential(nn.Linear(28 * 28, 64), nn.ReLU(), nn.Linear(64, 3))
decoder = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 28 * 28))
autoencoder = LitAutoEncoder(encoder, decoder)
dataset = MNIST(".", download=True, transform=ToTensor())
train, val = utils.data.random_split(dataset, [55000, 5000])
trainer = L.Trainer(max_epochs=1, gradient_clip_val=1.0, precision="16-mixed", accumulate_grad_batches=4)
trainer.fit(autoencoder, utils.data.DataLoader(train, batch_size=64, shuffle=True), utils.data.DataLoader(val))
