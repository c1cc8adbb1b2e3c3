# expect: unshuffled-training-loader
import torch
from torchvision import datasets, transforms

train_dataset = datasets.MNIST("data", train=True, transform=transforms.ToTensor())
train_loader = torch.utils.data.DataLoader(train_dataset, batch_size=64, shuffle=False, num_workers=2)
