"""A word language model with truncated backpropagation and hand-written SGD."""
import math
import time

import data
import model
import torch
import torch.nn as nn
import torch.onnx

corpus = data.Corpus("wikitext-2")
bptt, clip, lr, batch_size, epochs = 35, 0.25, 20, 20, 40
ntokens = len(corpus.dictionary)
net = model.RNNModel("LSTM", ntokens, 200, 200, 2, 0.2).to("cuda")
criterion = nn.NLLLoss()


def batchify(source, bsz):
    nbatch = source.size(0) // bsz
    return source.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


train_data = batchify(corpus.train, batch_size)
val_data = batchify(corpus.valid, 10)


def evaluate(data_source):
    net.eval()
    total_loss = 0.0
    hidden = net.init_hidden(10)
    with torch.no_grad():
        for i in range(0, data_source.size(0) - 1, bptt):
            inputs, targets = get_batch(data_source, i)
            output, hidden = net(inputs, hidden)
            hidden = repackage_hidden(hidden)
            total_loss += len(inputs) * criterion(output, targets).item()
    return total_loss / (len(data_source) - 1)


def train():
    net.train()
    total_loss = 0.0
    start_time = time.time()
    hidden = net.init_hidden(batch_size)
    for batch, i in enumerate(range(0, train_data.size(0) - 1, bptt)):
        inputs, targets = get_batch(train_data, i)
        net.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = net(inputs, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        for p in net.parameters():
            p.data.add_(p.grad, alpha=-lr)
        total_loss += loss.item()
        if batch % 200 == 0 and batch > 0:
            cur_loss = total_loss / 200
            print(batch, cur_loss, math.exp(cur_loss), time.time() - start_time)
            total_loss = 0
            start_time = time.time()


best_val_loss = None
try:
    for epoch in range(1, epochs + 1):
        train()
        val_loss = evaluate(val_data)
        if not best_val_loss or val_loss < best_val_loss:
            torch.save(net, "model.pt")
            best_val_loss = val_loss
        else:
            lr /= 4.0
except KeyboardInterrupt:
    print("Exiting from training early")
test_loss = evaluate(val_data)
