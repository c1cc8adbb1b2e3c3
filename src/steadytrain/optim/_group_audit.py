"""Which parameter is in which group, as a table; and what is in none, twice, or frozen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from steadytrain.optim._roles import Role, held_by


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedParameter:
    """One parameter in one group."""

    name: str
    role: Role | None
    """None for a tensor that is not the model's."""
    num_elements: int
    group: int
    group_name: str
    weight_decay: float | None
    lr: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAudit:
    """Every parameter of some groups; prints as a table."""

    rows: tuple[GroupedParameter, ...]
    missing: tuple[str, ...]
    """Trainable parameters of the model that are in no group."""
    repeated: tuple[str, ...]
    """Parameters that are in groups more than once."""
    foreign: tuple[str, ...]
    """Tensors in groups that are not parameters of the model."""
    frozen: tuple[str, ...]
    """Parameters in groups that do not require a gradient."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words; empty if every trainable parameter is in one group."""
        kinds = {
            "in no group": self.missing,
            "in groups more than once": self.repeated,
            "not of this model": self.foreign,
            "frozen, yet in a group": self.frozen,
        }
        return tuple(f"{what}: {', '.join(names)}" for what, names in kinds.items() if names)

    def __str__(self) -> str:
        """One line for every role in every group, then what is wrong."""
        head = ("group", "decay", "lr", "role", "tensors", "elements", "first")
        table = [head, *_summed(self.rows)]
        widths = [max(len(line[place]) for line in table) for place in range(len(head))]
        lines = ["  ".join(_aligned(line, widths)).rstrip() for line in table]
        return "\n".join([*lines, *self.problems])


def audit(groups: Iterable[Mapping[str, Any]] | Optimizer, model: nn.Module) -> GroupAudit:
    """Says which parameter of `model` is in which group, and what is wrong with the groups.

    Args:
        groups: parameter groups, or an optimizer.
        model: whose parameters they should be.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> result = audit([{"params": [model.weight]}], model)
        >>> result.problems
        ('in no group: bias',)
    """
    given = groups.param_groups if isinstance(groups, Optimizer) else list(groups)
    held = held_by(model)
    counts: Counter[int] = Counter()
    rows: list[GroupedParameter] = []
    frozen: list[str] = []
    for index, group in enumerate(given):
        for place, parameter in enumerate(group["params"]):
            one = held.get(id(parameter))
            counts[id(parameter)] += 1
            row = GroupedParameter(
                name=one.names[0] if one else f"group {index}, parameter {place}",
                role=one.role if one else None,
                num_elements=0 if is_lazy(parameter) else parameter.numel(),
                group=index,
                group_name=str(group.get("name", "")),
                weight_decay=_number(group.get("weight_decay")),
                lr=_number(group.get("lr")),
            )
            rows.append(row)
            if not parameter.requires_grad:
                frozen.append(row.name)
    trainable = {key: one for key, one in held.items() if one.parameter.requires_grad}
    return GroupAudit(
        rows=tuple(rows),
        missing=tuple(one.names[0] for key, one in trainable.items() if not counts[key]),
        repeated=tuple(one.names[0] for key, one in held.items() if counts[key] > 1),
        foreign=tuple(row.name for row in rows if row.role is None),
        frozen=tuple(dict.fromkeys(frozen)),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _summed(rows: Iterable[GroupedParameter]) -> list[tuple[str, ...]]:
    """One line for every role in every group."""
    kinds: dict[tuple[int, str], list[GroupedParameter]] = {}
    for row in rows:
        kinds.setdefault((row.group, row.role or "?"), []).append(row)
    return [
        (
            f"{group} ({of_kind[0].group_name})" if of_kind[0].group_name else str(group),
            _shown(of_kind[0].weight_decay),
            _shown(of_kind[0].lr),
            role,
            str(len(of_kind)),
            f"{sum(row.num_elements for row in of_kind):,}",
            of_kind[0].name,
        )
        for (group, role), of_kind in kinds.items()
    ]


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _aligned(line: tuple[str, ...], widths: list[int]) -> list[str]:
    numbers = {1, 2, 4, 5}
    cells = enumerate(zip(line, widths, strict=True))
    return [cell.rjust(w) if place in numbers else cell.ljust(w) for place, (cell, w) in cells]
