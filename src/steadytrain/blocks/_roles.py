"""The role of every parameter in a network, by structure and never by a part of its name.

Which layer writes to a residual stream follows from what a block's code adds (`_stacks`), from
widths and from the order of registration. Only query, key and value, which no shape tells apart,
go by their attribute's name as a whole ("q", "to_q", "q_proj", "query"), and without one by the
usual order: query, key, value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from torch import nn

from steadytrain.blocks._routes import Branch
from steadytrain.blocks._stacks import Stack, stacks_of
from steadytrain.blocks._weights import EMBEDDINGS, Weight, check_materialized, is_norm, weights_of

Role = Literal[
    "embedding", "input", "query", "key", "value", "packed", "hidden", "output", "shortcut", "head"
]

_SPOKEN: Final[dict[Role, frozenset[str]]] = {
    "query": frozenset({"q", "wq", "query", "queries"}),
    "key": frozenset({"k", "wk", "key", "keys"}),
    "value": frozenset({"v", "wv", "value", "values"}),
}
"""Whole words of an attribute's name that say which of the three a weight is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One weight and what it is for."""

    role: Role
    """`packed`: query, key and value in one weight; `output`: writes to the residual stream;
    `input`: reads the data; `shortcut`: stands on the stream itself."""
    weight: Weight
    stack: Stack | None = None
    layer: int = 0
    """Which block of its stack it is in, from 0."""
    additions: int = 0
    """Additions to the stream up to and with its own branch."""
    attends: bool = False
    """Whether its branch is an attention."""
    value_rows: int = 0
    """How many of a packed weight's last rows make the values."""
    tied: tuple[Part, ...] = ()
    """What else the same parameter is used for."""

    @property
    def path(self) -> str:
        return self.weight.path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """What the parts of a model are for."""

    parts: tuple[Part, ...]
    """Embeddings and weights of linear maps; a parameter that several modules share once."""
    stacks: tuple[Stack, ...]
    norms: tuple[tuple[str, nn.Module], ...]

    @property
    def width(self) -> int:
        """The width of the first residual stream; of the first embedding where there is none."""
        if self.stacks:
            return self.stacks[0].blocks[-1].branches[-1].outputs[0].outputs
        sizes = [part.weight.outputs for part in self.parts if part.role == "embedding"]
        return next(iter(sizes), max((part.weight.inputs for part in self.parts), default=1))


def anatomy_of(model: nn.Module) -> Anatomy:
    """The roles of a model's parameters.

    Raises:
        UsageError: a parameter is lazy or on the meta device.
    """
    check_materialized(model)
    stacks = stacks_of(model)
    inside = {part.path: part for stack in stacks for part in _of_stack(stack)}
    embeddings = [Part(role="embedding", weight=one) for one in _embeddings(model)]
    rest = _of_the_rest(model, stacks, set(inside))
    parts = [*embeddings, *inside.values(), *rest]
    norms = tuple((path, one) for path, one in model.named_modules() if is_norm(one))
    return Anatomy(parts=tuple(_once(parts)), stacks=tuple(stacks), norms=norms)


def _embeddings(model: nn.Module) -> Iterator[Weight]:
    for path, module in model.named_modules():
        if isinstance(module, EMBEDDINGS):
            rows, width = module.num_embeddings, module.embedding_dim
            name = f"{path}.weight" if path else "weight"
            yield Weight(
                path=name,
                module=module,
                name="weight",
                inputs=rows,
                outputs=width,
                fan_in=1,
                fan_out=width,
            )


def _of_stack(stack: Stack) -> Iterator[Part]:
    additions = 0
    for layer, block in enumerate(stack.blocks):
        for place, branch in enumerate(block.branches, start=1):
            for part in _of_branch(branch):
                yield replace(part, stack=stack, layer=layer, additions=additions + place)
        additions += len(block.branches)


def _of_branch(branch: Branch) -> Iterator[Part]:
    for weight in branch.outputs:
        yield Part(role="output", weight=weight, attends=branch.attends)
    for weight in branch.shortcuts:
        yield Part(role="shortcut", weight=weight)
    if branch.attends:
        yield from _of_attention(branch)
    else:
        for weight in branch.inner:
            yield Part(role="hidden", weight=weight)


def _of_attention(branch: Branch) -> Iterator[Part]:
    order: tuple[Role, ...] = ("query", "key", "value")
    for place, weight in enumerate(branch.inner):
        rows, spoken = _value_rows(branch, weight), _spoken(weight)
        if rows:
            yield Part(role="packed", weight=weight, attends=True, value_rows=rows)
        else:
            usual = order[place] if len(branch.inner) == 3 else "hidden"
            yield Part(role=spoken or usual, weight=weight, attends=True)


def _spoken(weight: Weight) -> Role | None:
    """Which of query, key and value the last words of the name say, if they say one."""
    attribute = weight.place if weight.name == "weight" else weight.name
    words = set(re.split(r"[_.]", attribute)[-3:])
    said: list[Role] = [role for role, known in _SPOKEN.items() if words & known]
    return said[0] if len(said) == 1 else None


def _value_rows(branch: Branch, weight: Weight) -> int:
    """The values' share of a weight in which they follow the keys, with or without queries.

    Grouped queries make keys and values narrower than what the output reads.
    """
    if weight.name == "in_proj_weight":
        return weight.outputs // 3
    inner = branch.outputs[0].inputs
    if len(branch.inner) == 1:
        return max(weight.outputs - inner, 0) // 2
    return weight.outputs // 2 if len(branch.inner) == 2 and weight.outputs == 2 * inner else 0


def _of_the_rest(model: nn.Module, stacks: Sequence[Stack], inside: set[str]) -> Iterator[Part]:
    """Weights outside the residual blocks: what reads the data, what makes the output."""
    order = list(weights_of(model))
    places = [place for place, one in enumerate(order) if one.path in inside]
    rest = [(place, one) for place, one in enumerate(order) if one.path not in inside]
    embeds = any(isinstance(one, EMBEDDINGS) for one in model.modules())
    heads = _heads(rest, stacks, places)
    for place, one in rest:
        reads = not embeds and place == 0
        yield Part(role="head" if one in heads else "input" if reads else "hidden", weight=one)


def _heads(
    rest: Sequence[tuple[int, Weight]], stacks: Sequence[Stack], places: Sequence[int]
) -> list[Weight]:
    """The last weight; behind residual blocks, whatever reads the stream and is read by none."""
    if not rest or not stacks:
        return [one for _, one in rest[-1:]]
    width = stacks[-1].blocks[-1].branches[-1].outputs[0].outputs
    behind = [one for place, one in rest if place > places[-1]]
    behind = behind or [one for _, one in rest if one.inputs == width != one.outputs]
    last = [one for one in behind if all(other.inputs != one.outputs for other in behind)]
    return last or behind[-1:]


def _once(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts with each parameter once, under its first role."""
    found: dict[int, list[Part]] = {}
    for part in parts:
        parameter = part.weight.module._parameters.get(part.weight.name)
        found.setdefault(id(part if parameter is None else parameter), []).append(part)
    for first, *others in found.values():
        yield replace(first, tied=tuple(others))
