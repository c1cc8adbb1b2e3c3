"""Programs for the tests of changes, and what of a program a change may not touch."""

import hashlib
from functools import cache
from itertools import islice

import torch
from torch import nn
from torch.nn import functional

from steadytrain.core.history import History
from steadytrain.core.program import Program
from steadytrain.doctor.change import known_changes
from steadytrain.doctor.scene import LossCall, Scene, models_of, optimizers_of
from steadytrain.lab.zoo.case import ARCHITECTURES, Case, parts_of
from steadytrain.training import train


def own_step(program, batch):
    """A loop as people write it: clear, backward, clip, step."""
    program.optimizer.zero_grad()
    loss = program.loss_fn(program.model, batch)
    loss.backward()
    nn.utils.clip_grad_norm_(program.model.parameters(), 1.0)
    program.optimizer.step()
    return loss.detach()


@cache
def zoo_program(architecture):
    """The architecture's healthy program; not to be changed."""
    torch.manual_seed(0)
    return parts_of(Case(architecture=architecture)).program()


def regression(step_fn=None, **options):
    """A small regression on eight batches, plain SGD, no clip."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(64, 4, generator=generator)
    target = (features @ torch.tensor([1.0, -2.0, 0.5, 0.0])).unsqueeze(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    options = {"loss_fn": squared, "clip": None, **options}
    return Program(
        model=options.pop("model", model),
        optimizer=options.pop("optimizer", None)
        or torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5),
        batches=options.pop("batches", list(zip(features.split(8), target.split(8), strict=True))),
        step_fn=step_fn,
        **options,
    )


def squared(model, batch):
    return functional.mse_loss(model(batch[0]), batch[1])


def scene_of(program, *, steps=20, **known):
    """What is known before anything ran; the loss's calls are recorded where it has any."""
    batches = known.pop("batches", None) or tuple(islice(program.batches, 8))
    calls = tuple(recorded_calls(program, batches))
    return Scene(history=History(), batches=batches, loss_calls=calls, steps=steps, **known)


def recorded_calls(program, batches):
    from steadytrain.doctor.changes._losses import loss_handlers
    from steadytrain.doctor.changes._observing import run_once

    calls = []

    def note(name, arguments):
        values, target = arguments.pop("input"), arguments.pop("target")
        calls.append(LossCall(name=name, input=values.detach(), target=target, arguments=arguments))

    run_once(program, Scene(history=History(), batches=batches), loss_handlers(note))
    return calls


def applied(name, program, **known):
    """A copy with the change, or None where it does not apply."""
    return known_changes()[name].apply(program.copy(), scene_of(program, **known))


def digest(program):
    """Equal for programs of the same weights, buffers, optimizer state, settings and data."""
    total = hashlib.blake2b()
    for model in models_of(program):
        for name, value in sorted(model.state_dict().items()):
            total.update(name.encode() + value.detach().numpy().tobytes())
        total.update(str([(p.requires_grad, p.grad is None) for p in model.parameters()]).encode())
        total.update(str([(m.training, len(m._forward_hooks)) for m in model.modules()]).encode())
    for optimizer in optimizers_of(program):
        settings = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
        total.update(repr(settings).encode())
        total.update(repr(_plain(optimizer.state_dict()["state"])).encode())
    total.update(repr((id(program.batches), program.step, program.clip)).encode())
    total.update(repr((id(program.step_fn), id(program.loss_fn), sorted(program.extra))).encode())
    return total.hexdigest()


def _plain(state):
    return {
        k: {n: v.tolist() if hasattr(v, "tolist") else v for n, v in s.items()}
        for k, s in state.items()
    }


def trained(program, steps=20):
    """The program after some steps, and the losses it had."""
    torch.manual_seed(0)
    run = train(program, steps=program.step + steps, progress=False, watch=False)
    return run.history.series("loss")


def final_loss(program, steps=40):
    return float(trained(program, steps)[-5:].mean())


ALL = tuple(ARCHITECTURES)
