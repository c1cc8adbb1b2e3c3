"""The norm behind each sum moves in front of the branch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._observing import step_once
from steadytrain.doctor.changes._surgery import NORMS, put_before
from steadytrain.doctor.scene import Scene


def apply(program: Program, scene: Scene) -> Program | None:
    """Torch's transformer layers by their switch; blocks that end in their own norm by hand."""
    changed = False
    for module in program.model.modules():
        if getattr(module, "norm_first", None) is False:
            module.norm_first = True  # pyright: ignore[reportArgumentType]
            changed = True
    for block_path, norm, inner in _post_norms(program, scene):
        block = program.model.get_submodule(block_path)
        moved = block.get_submodule(norm)
        setattr(block, norm, nn.Identity())
        put_before(program, block.get_submodule(inner), moved)
        changed = True
    return program if changed else None


def _post_norms(program: Program, scene: Scene) -> list[tuple[str, str, str]]:
    """Blocks, with the names of the norm they end in and of the branch before it."""
    twin = program.copy()
    model = twin.model
    runs: dict[str, dict[str, Any]] = {}

    for path, block in model.named_modules():
        names = [name for name, _ in block.named_children()]
        norms = [name for name in names if isinstance(block.get_submodule(name), NORMS)]
        if path and len(norms) == 1 and len(names) == 2:
            branch = next(name for name in names if name not in norms)
            _listen(runs.setdefault(path, {}), block, norms[0], branch)
    step_once(twin, scene)
    return [(path, run["norm"], run["branch"]) for path, run in runs.items() if _is_post(run)]


def _listen(run: dict[str, Any], block: nn.Module, norm: str, branch: str) -> None:
    run |= {"norm": norm, "branch": branch}

    def note_branch(_module: nn.Module, inputs: Any) -> None:
        run["branch input"] = inputs[0] if inputs else None

    def note_norm(_module: nn.Module, inputs: Any, output: Any) -> None:
        run["norm input"], run["norm output"] = inputs[0], output

    def note_block(_module: nn.Module, inputs: Any, output: Any) -> None:
        run["input"], run["output"] = inputs[0] if inputs else None, output

    block.get_submodule(branch).register_forward_pre_hook(note_branch)
    block.get_submodule(norm).register_forward_hook(note_norm)
    block.register_forward_hook(note_block)


def _is_post(run: dict[str, Any]) -> bool:
    """The branch reads the block's input, and what the norm gives is what the block gives."""
    return (
        isinstance(run.get("input"), Tensor)
        and run.get("branch input") is run["input"]
        and run.get("norm output") is run.get("output")
        and run.get("norm input") is not run["input"]
    )


CHANGE = change(
    __name__, __doc__, text="norms in front of the branches instead of behind", size=5, apply=apply
)
