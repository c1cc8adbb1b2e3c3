# expect: unshuffled-training-loader
from torch.utils.data import DataLoader, TensorDataset
train_ds = TensorDataset(x_train, y_train)
train_dl = DataLoader(train_ds, batch_size=64, shuffle=False, drop_last=True)
