"""A student learns from a frozen teacher that is a part of the same model.

## What it looks like
Half of the model has no gradient, and half of it is in evaluation mode.

## Why it is healthy
The teacher is frozen on purpose.

## Source
Hinton, Vinyals, Dean 2015, Distilling the knowledge in a neural network.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Case, Parts, parts_of
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import frozen_copy, pretrain

TEMPERATURE = 2.0


class Pupil(nn.Module):
    """A student beside its teacher; predictions are the student's."""

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        self.student, self.teacher = student, teacher

    def forward(self, inputs: Tensor) -> Tensor:
        return self.student(inputs)


def _loss(model: Pupil, batch: Batch) -> Tensor:
    inputs, labels = batch
    logits, wanted = model(inputs), model.teacher(inputs)
    soft = functional.kl_div(
        (logits / TEMPERATURE).log_softmax(-1),
        (wanted / TEMPERATURE).log_softmax(-1),
        reduction="batchmean",
        log_target=True,
    )
    return TEMPERATURE**2 * soft + functional.cross_entropy(logits, labels)


def make(parts: Parts) -> None:
    """The teacher is another seed's model, trained a while."""
    case = parts.case
    tutor = parts_of(Case(architecture=case.architecture, seed=case.seed + 1000, data=case.data))
    tutor.batches = parts.batches
    pretrain(tutor, steps=120)
    student = parts.model
    parts.model = Pupil(student, frozen_copy(tutor.model))
    parts.make_optimizer = lambda own: own.optimizer(student.parameters())
    parts.loss_fn = _loss


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "vit"), make=make)
