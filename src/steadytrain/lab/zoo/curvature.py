"""The largest curvature of a loss: the rate at which gradient descent is stable is 2 over it."""

from __future__ import annotations

from typing import Any

import torch

from steadytrain.lab.zoo.case import Parts


def sharpness(parts: Parts, batch: Any, rounds: int = 20) -> float:
    """The largest eigenvalue of the Hessian on a batch, by power iteration.

    Cost: `rounds` backward passes through the gradient.
    """
    assert parts.loss_fn is not None
    params = list(parts.model.parameters())
    loss = parts.loss_fn(parts.model, batch)
    gradients = torch.autograd.grad(loss, params, create_graph=True)
    generator = parts.case.generator("curvature")
    direction = [torch.randn(p.shape, generator=generator) for p in params]
    size = 1.0
    for _ in range(rounds):
        length = torch.stack([part.norm() for part in direction]).norm()
        direction = [part / length for part in direction]
        direction = list(
            torch.autograd.grad(gradients, params, grad_outputs=direction, retain_graph=True)
        )
        size = float(torch.stack([part.norm() for part in direction]).norm())
    return size
