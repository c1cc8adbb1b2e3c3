"""How large attention logits are and how spread the attention is, where it is visible.

Visible are calls of `scaled_dot_product_attention`, softmaxes over a square of positions, and
`nn.MultiheadAttention`. On sampled steps the model's forward runs under a torch function mode that
passes every call through unchanged and looks at these. Cost: one product of at most two samples and
`MAX_QUERIES` queries per layer. No synchronisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

STATISTICS: Final = ("attention_logit_max", "attention_entropy")

MAX_SAMPLES: Final = 2
MAX_QUERIES: Final = 64

_SOFTMAX: Final = (torch.softmax, functional.softmax, Tensor.softmax)


class AttentionSight(TorchFunctionMode):
    """While it is entered, attention that is computed hands its `STATISTICS` to `tell`."""

    def __init__(self, tell: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._tell = tell
        self.has_seen = False
        """Whether there was any attention."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is functional.scaled_dot_product_attention or func in _SOFTMAX:
            with suppress(Exception), torch.no_grad():  # a form nobody thought of is not measured
                row = _row(func, args, kwargs)
                if row is not None:
                    self.has_seen = True
                    self._tell(row)
        return result


def _row(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    if func in _SOFTMAX:
        logits = args[0] if args else kwargs["input"]
        dim = args[1] if len(args) > 1 else kwargs.get("dim", -1)
        is_square = logits.ndim in (3, 4) and logits.shape[-1] == logits.shape[-2] > 2
        if not is_square or dim not in (-1, logits.ndim - 1):
            return None
        return statistics(logits.detach()[:MAX_SAMPLES])
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given = dict(zip(names, args, strict=False)) | kwargs
    return dot_product(
        given["query"],
        given["key"],
        mask=given.get("attn_mask"),
        is_causal=bool(given.get("is_causal", False)),
        scale=given.get("scale"),
    )


def dot_product(
    query: Tensor,
    key: Tensor,
    *,
    mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """The `STATISTICS` of attention between queries and keys: [2].

    Args:
        query: [..., queries, width].
        key: [..., keys, width], with as many heads.
        mask: True where a key may be seen, or what is added to the logits.
        is_causal: a query sees no key after it.
        scale: of the logits; one over the root of the width if None.
    """
    if query.ndim > 3:
        query, key = query.detach()[:MAX_SAMPLES], key.detach()[:MAX_SAMPLES]
        mask = mask[:MAX_SAMPLES] if mask is not None and mask.ndim == query.ndim else mask
    count, keys = query.shape[-2], key.shape[-2]
    rows = torch.arange(0, count, -(-count // MAX_QUERIES), device=query.device)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    logits = scale * (query.detach()[..., rows, :].float() @ key.detach().float().transpose(-1, -2))
    if is_causal:
        later = torch.arange(keys, device=query.device)[None, :] > rows[:, None]
        logits = logits.masked_fill(later, -math.inf)
    if mask is not None:
        chosen = mask[..., rows, :] if mask.shape[-2] == count else mask
        if chosen.dtype is torch.bool:
            logits = logits.masked_fill(~chosen, -math.inf)
        else:
            logits = logits + chosen.float()
    return statistics(logits)


def statistics(logits: Tensor) -> Tensor:
    """Largest magnitude of the logits that count, and the entropy over its largest: [2].

    A masked logit does not count; a row that sees one key only has no entropy to speak of.
    """
    logits = logits.float()
    counts = logits > -1e4
    largest = torch.where(counts, logits.abs(), 0.0).amax()
    chances = logits.softmax(dim=-1)
    entropy = -torch.where(chances > 0, chances * chances.log(), 0.0).sum(dim=-1)
    seen = counts.sum(dim=-1)
    usable = seen > 1
    share = torch.where(usable, entropy / seen.clamp(min=2).float().log(), 0.0)
    return torch.stack([largest, share.sum() / usable.sum()])


def of_module(module: nn.Module, inputs: Iterable[Any]) -> Tensor | None:
    """The `STATISTICS` of an `nn.MultiheadAttention` from what it was called with; else None.

    Masks are left out: it is the scale of the logits that is looked at.
    """
    if not isinstance(module, nn.MultiheadAttention) or module.in_proj_weight is None:
        return None
    query, key = list(inputs)[:2]
    if query.ndim != 3 or query.is_nested:
        return None
    if not module.batch_first:
        query, key = query.transpose(0, 1), key.transpose(0, 1)
    width, heads = module.embed_dim, module.num_heads
    bias = module.in_proj_bias
    weights = module.in_proj_weight.detach()
    heads_of: list[Tensor] = []
    for tensor, start in ((query, 0), (key, width)):
        own = None if bias is None else bias.detach()[start : start + width]
        mixed = functional.linear(
            tensor.detach()[:MAX_SAMPLES].float(),
            weights[start : start + width].float(),
            None if own is None else own.float(),
        )
        heads_of.append(mixed.unflatten(-1, (heads, -1)).transpose(1, 2))
    return dot_product(*heads_of)
