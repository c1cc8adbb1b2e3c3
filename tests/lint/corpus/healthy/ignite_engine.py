import torch
from ignite.engine import Engine, Events, create_supervised_evaluator

model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters())


def train_step(engine, batch):
    model.train()
    optimizer.zero_grad()
    x, y = batch
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


trainer = Engine(train_step)
evaluator = create_supervised_evaluator(model)


@trainer.on(Events.EPOCH_COMPLETED)
def log(engine):
    evaluator.run(val_loader)


trainer.run(train_loader, max_epochs=10)
