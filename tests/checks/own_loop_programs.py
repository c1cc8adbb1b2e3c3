"""Small programs with a training loop of their own, right or with one line out of place."""

from __future__ import annotations

from preflight_programs import classifier, cross_entropy
from torch import nn


def with_step(step, **fields):
    """The classifier under a `step_fn`; plain descent, so that nothing hides a gradient's scale."""
    program = classifier(**fields)
    program.step_fn = step
    return program


def right_step(program, batch):
    program.optimizer.zero_grad()
    loss = cross_entropy(program.model, batch)
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def never_clears(program, batch):
    loss = cross_entropy(program.model, batch)
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def never_steps(program, batch):
    program.optimizer.zero_grad()
    loss = cross_entropy(program.model, batch)
    loss.backward()
    return loss.detach()


def clears_before_the_step(program, batch):
    loss = cross_entropy(program.model, batch)
    loss.backward()
    program.optimizer.zero_grad()
    program.optimizer.step()
    return loss.detach()


def clips_after_the_step(program, batch):
    loss = right_step(program, batch)
    nn.utils.clip_grad_norm_(program.model.parameters(), 1e-3)
    return loss


def keeps_its_losses(program, batch):
    program.optimizer.zero_grad()
    loss = cross_entropy(program.model, batch)
    loss.backward(retain_graph=True)
    program.optimizer.step()
    program.extra["losses"].append(loss)
    return loss.detach()


def in_pieces(program, batch, *, divisor, clear_always=False):
    """A window of four microbatches."""
    program.optimizer.zero_grad()
    total = 0.0
    for piece in zip(*(part.chunk(4) for part in batch), strict=True):
        if clear_always:
            program.optimizer.zero_grad()
        loss = cross_entropy(program.model, piece)
        (loss / divisor).backward()
        total += float(loss.detach()) / 4
    program.optimizer.step()
    return total
