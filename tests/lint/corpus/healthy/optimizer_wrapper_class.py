class ScheduledOptim:
    def __init__(self, optimizer, d_model, n_warmup):
        self._optimizer = optimizer
        self.n_steps = 0
    def step_and_update_lr(self):
        self._update_learning_rate()
        self._optimizer.step()
    def zero_grad(self):
        self._optimizer.zero_grad()
    def _update_learning_rate(self):
        self.n_steps += 1
def train_epoch(model, training_data, optimizer):
    model.train()
    for batch in training_data:
        optimizer.zero_grad()
        loss = cal_loss(model(batch), batch)
        loss.backward()
        optimizer.step_and_update_lr()
