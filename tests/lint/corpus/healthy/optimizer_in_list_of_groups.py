import torch
from torchvision.models import resnet18

model = resnet18().to("cuda")
model = model.to(memory_format=torch.channels_last)
criterion = torch.nn.CrossEntropyLoss().cuda()
optimizer = torch.optim.AdamW(
    [{"params": model.fc.parameters(), "lr": 1e-3}, {"params": model.layer4.parameters(), "lr": 1e-4}]
)
model = torch.compile(model)
model = torch.nn.parallel.DistributedDataParallel(model)
