# expect: optimizer-before-move
import torch
import torch.optim as optim
net = Net()
criterion = torch.nn.MSELoss()
opt = optim.Adam(net.parameters(), lr=1e-3)
if torch.cuda.is_available():
    net.cuda()
