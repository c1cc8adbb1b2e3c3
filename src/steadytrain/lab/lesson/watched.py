"""A run that may be watched or not, with one loop for both."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor, nn

import steadytrain
from steadytrain.watching import Watch


class Watcher:
    """The run is watched into `run_dir`; with None there, nothing is watched.

    Its clip is torch's own either way: the same bits come out.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        run_dir: Path | None,
        name: str,
    ) -> None:
        self._model = model
        self._watch: Watch | None = None
        if run_dir is not None:
            self._watch = steadytrain.watch(model, optimizer, run_dir=run_dir, name=name)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.close()

    @property
    def run_dir(self) -> Path | None:
        """Where the watched run is; None where nothing is watched."""
        return None if self._watch is None else Path(self._watch.run_dir)

    def clip_grad_norm_(self, max_norm: float) -> Tensor:
        """The gradients' total norm is at most `max_norm` afterwards; returns it as it was."""
        if self._watch is not None:
            return self._watch.clip_grad_norm_(max_norm)
        return nn.utils.clip_grad_norm_(self._model.parameters(), max_norm)

    def log(self, **values: Tensor | float) -> None:
        """The values stand in the watched run, where there is one."""
        if self._watch is not None:
            self._watch.log(**values)
