"""Weights kept in bf16 or fp16: how many updates rounding loses, and optimizers that lose none.

bf16 has 8 bits: near 1 its neighbours are 1/128 apart, so 1.0 - 0.001 is 1.0 again, and weight
decay of lr * 0.1 never arrives. Small updates are lost on every step, not once, and training
stalls without a sign in the loss scale or the gradient. Kahan summation remembers what was
rounded off; stochastic rounding gets it right on average. Weights in float32 with autocast have
no such problem.

## Formula

lost_update_fraction = |{i: g_i != 0 and w_i after the step == w_i before}| / |{i: g_i != 0}|.
Kahan: c += u; w' = w + c; c -= w' - w. Stochastic: w + u is rounded up or down with the
probabilities that make its mean exact.

## Shape

Any; a sparse gradient is made dense to be compared, a DTensor is measured over all its shards.

## Dtype

Measures parameters in bf16 and fp16 and passes over the others. Kahan helps both, stochastic
rounding bf16 only.

## Cost

Measuring: a copy and a mask of the low-precision parameters for one step. Kahan: one more tensor
per parameter in its dtype. Stochastic: random bits, no memory.

## Source

Zamirai et al. 2021 (Revisiting BFloat16 Training); the optimizers are those of optimi
(`kahan_sum`) and torchao (`bf16_stochastic_round`).

## Helps against

`low-precision-update-lost`
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, get_args

import torch
from torch import Tensor, nn

from steadytrain.core.errors import MissingExtraError, UsageError
from steadytrain.core.technique import technique

Rounding = Literal["kahan", "stochastic"]

_HALVES: Final = (torch.bfloat16, torch.float16)


class LostUpdates:
    """What a step changed in the low-precision parameters; made by `lost_updates`."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self._parameters = parameters
        self._before = {name: one.detach().clone() for name, one in parameters.items()}
        self._moving = {name: _nonzero(one.grad) for name, one in parameters.items()}
        self._counts: dict[str, tuple[Tensor, Tensor]] = {}

    def compare(self) -> None:
        """The parameters are as the step left them."""
        for name, parameter in self._parameters.items():
            moving = self._moving[name]
            lost = moving & (parameter.detach() == self._before[name])
            self._counts[name] = _total(lost), _total(moving)
        self._before.clear()
        self._moving.clear()

    @property
    def by_name(self) -> dict[str, Tensor]:
        """The fraction of each parameter, on its device; NaN where no gradient was nonzero."""
        return {name: lost / moving for name, (lost, moving) in self._counts.items()}

    @property
    def fraction(self) -> Tensor:
        """The fraction of all of them; NaN where nothing was to be measured."""
        if not self._counts:
            return torch.tensor(math.nan)
        device = next(iter(self._counts.values()))[0].device
        pairs = [torch.stack(pair).to(device) for pair in self._counts.values()]
        lost, moving = torch.stack(pairs).sum(dim=0)
        return lost / moving


@contextmanager
def lost_updates(model: nn.Module) -> Iterator[LostUpdates]:
    """Measures which updates of the step inside were rounded away.

    Args:
        model: its parameters in bf16 and fp16 that have a gradient are measured.

    Example:
        >>> layer = nn.Linear(1, 2, bias=False, dtype=torch.bfloat16)
        >>> with torch.no_grad():
        ...     layer.weight.copy_(torch.tensor([[1.0], [0.0625]]))
        Parameter containing:
        tensor([[1.0000],
                [0.0625]], dtype=torch.bfloat16, requires_grad=True)
        >>> layer.weight.grad = torch.ones_like(layer.weight)
        >>> with lost_updates(layer) as lost:
        ...     torch.optim.SGD(layer.parameters(), lr=1e-3).step()
        >>> lost.fraction
        tensor(0.5000)
    """
    named = model.named_parameters()
    measured = LostUpdates(
        {name: one for name, one in named if one.dtype in _HALVES and one.grad is not None}
    )
    yield measured
    measured.compare()


def low_precision_adamw(
    params: Iterable[Any],
    lr: float,
    *,
    rounding: Rounding = "kahan",
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> torch.optim.Optimizer:
    """AdamW whose updates of bf16 weights are not rounded away.

    Args:
        params: parameters or parameter groups.
        lr: the learning rate.
        rounding: `"kahan"` needs the package torch-optimi, `"stochastic"` needs torchao.
        betas: decay of the two moments.
        eps: added to the root of the second moment.
        weight_decay: decoupled from the gradient, times `lr`.

    Raises:
        UsageError: there is no parameter, or a number is out of range.
        MissingExtraError: the package is not installed.

    Example:
        >>> import importlib.util
        >>> layer = nn.Linear(1, 2, dtype=torch.bfloat16)
        >>> if importlib.util.find_spec("optimi"):
        ...     optimizer = low_precision_adamw(layer.parameters(), lr=1e-3)
    """
    listed = list(params)
    if not listed:
        msg = "low_precision_adamw(params): found no parameter, expected at least one"
        raise UsageError(f"{msg}: a generator that was read before is empty.")
    if not 0.0 < lr < math.inf:
        msg = f"lr must be a finite number above 0, got {lr}"
        raise UsageError(f"{msg}: 3e-4 is usual for AdamW.")
    if rounding not in get_args(Rounding):
        msg = f"rounding must be 'kahan' or 'stochastic', got {rounding!r}"
        raise UsageError(f"{msg}: choose one of them.")
    options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    if rounding == "stochastic":
        return _imported("torchao.optim", "torchao", "stochastic")._AdamW(
            listed, bf16_stochastic_round=True, **options
        )
    # where triton is importable but there is no GPU, its kernels fail on the first step
    optimi = _imported("optimi", "torch-optimi", "kahan")
    triton = None if all(p.is_cuda for p in _tensors(listed)) else False
    return optimi.AdamW(listed, kahan_sum=True, triton=triton, **options)


def _imported(module: str, package: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f"low_precision_adamw needs the package {package!r}, which is not installed here"
        raise MissingExtraError(
            f"{msg} ({error}). Install it with: pip install 'steadytrain[{extra}]'"
        ) from None


def _tensors(params: Iterable[Any]) -> Iterator[Tensor]:
    for one in params:
        if isinstance(one, dict):
            yield from ([one["params"]] if isinstance(one["params"], Tensor) else one["params"])
        else:
            yield one


def _nonzero(grad: Tensor | None) -> Tensor:
    assert grad is not None
    return (grad.to_dense() if grad.is_sparse else grad) != 0


def _total(mask: Any) -> Tensor:
    """The number of true elements, over all shards of a DTensor."""
    total = mask.sum(dtype=torch.float32)
    return total.full_tensor() if hasattr(total, "full_tensor") else total


TECHNIQUE = technique(__name__, __doc__, exports=("lost_updates", "low_precision_adamw"))
