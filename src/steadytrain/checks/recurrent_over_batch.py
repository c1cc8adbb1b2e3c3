"""A recurrent or attention layer takes the samples for time steps.

## What it does
Finds layers with `batch_first=False` whose input has the samples first, where the data itself says
which dimension is time: next-token targets that are the input shifted along the second dimension,
or one target per sample.

## Why it matters
The state runs through the samples of the batch, and each position is predicted without those
before it. Both shapes are legal, so nothing raises.

## Passes when
Such a layer gets time first, or the data does not tell.

## Fails when
The first dimension of its input is the samples'.

## What to do
`batch_first=True`, or transpose the data.

## Source
PyTorch's documentation of `nn.LSTM`, `nn.MultiheadAttention`: the default is time first.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from steadytrain.checks._batches import num_samples
from steadytrain.checks._layout import samples_come_first
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed

_LAYERS = (
    nn.RNNBase,
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)


@check(code="INI257", causes=("wrong-axis",), stage="architecture")
@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentOverBatch:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        layers = {
            path
            for path, module in scene.model.named_modules()
            if isinstance(module, _LAYERS) and not _is_batch_first(module)
        }
        size = num_samples(scene.batch())
        if not layers or size is None or not samples_come_first(scene, size):
            return not_applicable(self, "no layer takes time first, or the data does not tell")
        wrong = [
            seen
            for seen in scene.first.modules
            if seen.path in layers and seen.inputs and _has_first(seen.inputs[0].shape, size)
        ]
        if not wrong:
            return passed(self, "time comes first", 0)
        path, shape = wrong[0].path, list(wrong[0].inputs[0].shape)
        return failed(
            self,
            f"{path} gets {shape}, samples first",
            len(wrong),
            findings=[
                finding(
                    self,
                    f"{path} has batch_first=False and gets {shape} with the {size} samples first: it "
                    "runs over the samples. Set batch_first=True or put time first.",
                    site=path,
                    evidence={"shape": tuple(shape), "num_samples": size},
                )
            ],
        )


def _is_batch_first(module: nn.Module) -> bool:
    own = getattr(module, "self_attn", module)
    return bool(getattr(own, "batch_first", False))


def _has_first(shape: tuple[int, ...], size: int) -> bool:
    return len(shape) == 3 and shape[0] == size and shape[1] != size
