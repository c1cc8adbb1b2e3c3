"""The rule that chooses an initialisation: a question each, the first answer counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from steadytrain.blocks._facts import Facts

FACTOR: Final = 2.0
"""Change of signal or gradient, from end to end, that counts as harmless."""


def _attending(facts: Facts) -> tuple[str, str] | None:
    if facts.attends:
        return "transformer", "it attends, so it is a transformer or close to one"
    return None


def _recurrent(facts: Facts) -> tuple[str, str] | None:
    if facts.is_recurrent:
        return "orthogonal", "a recurrent matrix is applied at every time step"
    return None


def _residual_without_norm(facts: Facts) -> tuple[str, str] | None:
    if facts.num_sums and not facts.num_norms:
        why = f"{facts.num_sums} additions to a residual stream, and no norm to bound the sum"
        return "fixup", why
    return None


def _normed(facts: Facts) -> tuple[str, str] | None:
    if facts.num_norms:
        return "kaiming", "norms rescale what the layers give, whatever their scale"
    return None


def _shallow(facts: Facts) -> tuple[str, str] | None:
    limit = math.log(FACTOR)
    steady = facts.gradient_change > 0 and abs(math.log(facts.gradient_change)) <= limit
    if steady and facts.seed_spread <= limit:
        return "kaiming", "a plain stack, shallow enough for the exact gain of its activations"
    return None


def _deep(facts: Facts) -> tuple[str, str]:
    why = (
        f"a plain stack too deep for the exact gain: gradients change by a factor of "
        f"{facts.gradient_change:.2g} and seeds differ by {math.exp(facts.seed_spread):.2g}"
    )
    if 2 * facts.num_mirrorable >= facts.num_layers:
        return "mirrored", why
    return "orthogonal", why


_RULES: Final[tuple[Callable[[Facts], tuple[str, str] | None], ...]] = (
    _attending,
    _recurrent,
    _residual_without_norm,
    _normed,
    _shallow,
    _deep,
)


def chosen(facts: Facts) -> tuple[str, str]:
    """The name of the scheme and the reason for it."""
    return next(choice for rule in _RULES if (choice := rule(facts)) is not None)


def notes(facts: Facts, name: str) -> Iterator[str]:
    """What to know or do beside the choice."""
    if not facts.is_traced:
        yield "its forward cannot be traced: layers were read in the order of registration"
    if not facts.activations and facts.num_layers > 1 and name not in ("transformer", "fixup"):
        yield "no activation was seen: gains are 1"
    if name == "orthogonal" and not facts.is_recurrent:
        yield "lsuv(model, batch) afterwards fits each layer to real data"
