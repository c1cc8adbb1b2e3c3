"""Equal blocks that follow each other are added to their input instead of replacing it."""

from __future__ import annotations

from collections import Counter

from torch import nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._surgery import NORMS, add_input
from steadytrain.doctor.scene import Scene


def apply(program: Program, _scene: Scene) -> Program | None:
    """Blocks with parameters whose output has the shape of their input.

    A branch without a norm of its own is scaled down by the root of their number, so that the
    sum stays bounded.
    """
    blocks = _blocks(program.model)
    for block in blocks:
        if not any(isinstance(one, NORMS) for one in block.modules()):
            block.branch_scale = len(blocks) ** -0.5  # pyright: ignore[reportArgumentType]
        block.register_forward_hook(add_input)
    return program if blocks else None


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The children of the container that holds the most equal blocks, from three on."""
    best: list[nn.Module] = []
    for module in model.modules():
        if not isinstance(module, nn.Sequential | nn.ModuleList):
            continue
        kinds = Counter(_kind(child) for child in module if _has_weights(child))
        for kind, count in kinds.items():
            if count >= 3 and count > len(best):
                best = [child for child in module if _kind(child) == kind]
    return best


def _kind(block: nn.Module) -> tuple[object, ...]:
    """Equal for blocks of one class; single layers also need one shape, in and out."""
    if isinstance(block, nn.Linear):
        return (type(block), block.in_features == block.out_features)
    if isinstance(block, nn.Conv2d):
        same = block.in_channels == block.out_channels and block.stride == (1, 1)
        return (type(block), same)
    return (type(block), True)


def _has_weights(block: nn.Module) -> bool:
    if isinstance(block, NORMS) or not any(True for _ in block.parameters()):
        return False
    return _kind(block)[1] is True


CHANGE = change(
    "insert-shortcuts", __doc__, text="a shortcut around every block", size=5, apply=apply
)
