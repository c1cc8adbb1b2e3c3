# expect: clip-before-unscale
import torch
def train(args, model, loader, optimizer, scaler):
    for i, (x, y) in enumerate(loader):
        with torch.autocast("cuda", enabled=args.amp):
            loss = torch.nn.functional.cross_entropy(model(x), y) / args.accum
        if args.amp:
            scaler.scale(loss).backward()
        else:
            loss.backward()
        if (i + 1) % args.accum == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            if args.amp:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
            optimizer.zero_grad()
