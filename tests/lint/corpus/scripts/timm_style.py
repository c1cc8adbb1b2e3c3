"""An image classifier with EMA, scaler object, mixup and a scheduler that counts updates."""
import argparse
import time
from collections import OrderedDict
from contextlib import suppress

import timm
import torch
import torch.nn as nn
from timm.data import Mixup, create_dataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2, optimizer_kwargs
from timm.scheduler import create_scheduler_v2, scheduler_kwargs
from timm.utils import AverageMeter, ModelEmaV3, NativeScaler, accuracy, dispatch_clip_grad, reduce_tensor

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="resnet50")
parser.add_argument("--epochs", type=int, default=300)
parser.add_argument("--grad-accum-steps", type=int, default=1)


def main():
    args = parser.parse_args()
    device = torch.device("cuda")
    model = timm.create_model(args.model, pretrained=False, num_classes=args.num_classes)
    model.to(device=device)
    if args.channels_last:
        model.to(memory_format=torch.channels_last)
    optimizer = create_optimizer_v2(model, **optimizer_kwargs(cfg=args))
    amp_autocast = suppress
    loss_scaler = None
    if args.amp:
        loss_scaler = NativeScaler(device=device.type)
    model_ema = ModelEmaV3(model, decay=args.model_ema_decay) if args.model_ema else None
    if args.distributed:
        model = nn.parallel.DistributedDataParallel(model, device_ids=[device])
    dataset_train = create_dataset(args.dataset, root=args.data_dir, split="train")
    mixup_fn = Mixup(mixup_alpha=args.mixup) if args.mixup > 0 else None
    loader_train = create_loader(dataset_train, input_size=224, batch_size=args.batch_size, is_training=True)
    loader_eval = create_loader(dataset_train, input_size=224, batch_size=args.batch_size)
    train_loss_fn = SoftTargetCrossEntropy() if mixup_fn else LabelSmoothingCrossEntropy()
    validate_loss_fn = nn.CrossEntropyLoss().to(device=device)
    lr_scheduler, num_epochs = create_scheduler_v2(optimizer, **scheduler_kwargs(args))
    for epoch in range(num_epochs):
        train_metrics = train_one_epoch(
            epoch, model, loader_train, optimizer, train_loss_fn, args, device,
            lr_scheduler=lr_scheduler, amp_autocast=amp_autocast, loss_scaler=loss_scaler,
            model_ema=model_ema, mixup_fn=mixup_fn,
        )
        eval_metrics = validate(model, loader_eval, validate_loss_fn, args, device, amp_autocast)
        if lr_scheduler is not None:
            lr_scheduler.step(epoch + 1, eval_metrics["top1"])
        print(train_metrics, eval_metrics)


def train_one_epoch(
    epoch, model, loader, optimizer, loss_fn, args, device, lr_scheduler=None,
    amp_autocast=suppress, loss_scaler=None, model_ema=None, mixup_fn=None,
):
    second_order = hasattr(optimizer, "is_second_order") and optimizer.is_second_order
    losses_m = AverageMeter()
    model.train()
    accum_steps = args.grad_accum_steps
    last_accum_steps = len(loader) % accum_steps
    updates_per_epoch = (len(loader) + accum_steps - 1) // accum_steps
    num_updates = epoch * updates_per_epoch
    last_batch_idx = len(loader) - 1
    optimizer.zero_grad()
    for batch_idx, (input, target) in enumerate(loader):
        last_batch = batch_idx == last_batch_idx
        need_update = last_batch or (batch_idx + 1) % accum_steps == 0
        input, target = input.to(device), target.to(device)
        if mixup_fn is not None:
            input, target = mixup_fn(input, target)

        def _forward():
            with amp_autocast():
                output = model(input)
                loss = loss_fn(output, target)
            if accum_steps > 1:
                loss /= accum_steps
            return loss

        def _backward(_loss):
            if loss_scaler is not None:
                loss_scaler(
                    _loss, optimizer, clip_grad=args.clip_grad, clip_mode=args.clip_mode,
                    parameters=model.parameters(), create_graph=second_order, need_update=need_update,
                )
            else:
                _loss.backward(create_graph=second_order)
                if need_update:
                    if args.clip_grad is not None:
                        dispatch_clip_grad(model.parameters(), value=args.clip_grad, mode=args.clip_mode)
                    optimizer.step()

        if not need_update and hasattr(model, "no_sync"):
            with model.no_sync():
                loss = _forward()
                _backward(loss)
        else:
            loss = _forward()
            _backward(loss)
        losses_m.update(loss.item() * accum_steps, input.size(0))
        if not need_update:
            continue
        num_updates += 1
        optimizer.zero_grad()
        if model_ema is not None:
            model_ema.update(model, step=num_updates)
        if lr_scheduler is not None:
            lr_scheduler.step_update(num_updates=num_updates, metric=losses_m.avg)
    return OrderedDict([("loss", losses_m.avg)])


def validate(model, loader, loss_fn, args, device, amp_autocast=suppress):
    losses_m, top1_m = AverageMeter(), AverageMeter()
    model.eval()
    end = time.time()
    with torch.inference_mode():
        for batch_idx, (input, target) in enumerate(loader):
            input, target = input.to(device), target.to(device)
            with amp_autocast():
                output = model(input)
                loss = loss_fn(output, target)
            acc1, acc5 = accuracy(output, target, topk=(1, 5))
            if args.distributed:
                reduced_loss = reduce_tensor(loss.data, args.world_size)
            else:
                reduced_loss = loss.data
            losses_m.update(reduced_loss.item(), input.size(0))
            top1_m.update(acc1.item(), output.size(0))
    return OrderedDict([("loss", losses_m.avg), ("top1", top1_m.avg), ("time", time.time() - end)])


if __name__ == "__main__":
    main()
