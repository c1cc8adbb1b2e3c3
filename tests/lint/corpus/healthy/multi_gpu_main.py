import torch
import torch.multiprocessing as mp
def worker(rank, world_size, args):
    model = torch.nn.Linear(3, 3).to(rank)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(args.epochs):
        for x, y in args.loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
if __name__ == "__main__":
    mp.spawn(worker, args=(2, None), nprocs=2)
