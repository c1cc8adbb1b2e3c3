"""Attaching to a training loop, and when to measure."""

from __future__ import annotations

import atexit
import platform
import weakref
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import torch
from torch import nn

from steadytrain.core.rule import Rule
from steadytrain.watching.arguments import check_counts, check_kinds
from steadytrain.watching.outlet import Outlet
from steadytrain.watching.scaling import Scaling
from steadytrain.watching.session import Watch
from steadytrain.watching.sites import ParameterSites, as_models, as_optimizers

__all__ = ["Watch", "watch"]


def watch(
    model: object,
    optimizer: object = None,
    *,
    run_dir: str | PathLike[str] | None = None,
    every: int = 10,
    flush_every: int = 10,
    scaler: Any = None,
    rules: Sequence[Rule] | None = None,
    name: str | None = None,
    first_step: int = 0,
    resume: bool = False,
) -> Watch:
    """The training loop around `model` and `optimizer` is watched from now on.

    Nothing about training changes: weights, optimizer state, buffers and generators are
    bit-identical with and without it, and nothing of it raises inside a step.

    Clip through `watch.clip_grad_norm_`: gradients that another clip has scaled already are
    recorded as the optimizer gets them, because nothing tells that they were clipped.

    Every step: gradient norms before clipping (unscaled), parameter norms, update ratios, loss,
    learning rate. Every `every` steps: activations, largest gradients, zeros.

    Args:
        model: a module, or a dict or list of modules.
        optimizer: an optimizer or several.
        run_dir: where the run is written; in memory only if None.
        every: steps between two samples of what costs a pass of its own.
        flush_every: steps between two transfers to the host.
        scaler: the loop's `torch.amp.GradScaler`, so that norms are unscaled and skipped steps known.
        rules: the rules to judge with; every known one if None.
        name: the run's name in reports.
        first_step: number of the first step, for a run that is continued.
        resume: whether `run_dir` may hold a run that is continued from `first_step`; what it
            recorded from there on is replaced.

    Raises:
        UsageError: the model has no parameters, the optimizer is none, an argument cannot mean
            what was given, or `run_dir` holds a run and `resume` is False.
        RunBusyError: another process is writing in `run_dir`.
        RunVersionError: another schema version wrote the run in `run_dir`.

    Cost: see the overhead table in the documentation; no device synchronisation but one copy
    per flush.

    Example:
        >>> import torch, steadytrain as st
        >>> model = torch.nn.Linear(4, 1)
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        >>> with st.watch(model, optimizer) as watch:
        ...     for _ in range(20):
        ...         loss = model(torch.randn(8, 4)).square().mean()
        ...         loss.backward()
        ...         norm = watch.clip_grad_norm_(1.0)
        ...         optimizer.step()
        ...         optimizer.zero_grad()
        ...         watch.log(loss=loss)
        >>> watch.history.window("grad_norm").shape
        (20, 2)
    """
    check_counts(1, every=every, flush_every=flush_every)
    check_counts(0, first_step=first_step)
    check_kinds(scaler, rules, run_dir)
    models = as_models(model)
    optimizers = as_optimizers(optimizer)
    sites = ParameterSites(models, optimizers)
    every, flush_every, first_step = int(every), int(flush_every), int(first_step)
    meta = _describe(models, optimizers, sites, name) | {"every": every, "first_step": first_step}
    outlet = Outlet(
        sites,
        run_dir=run_dir,
        meta=meta,
        flush_every=flush_every,
        rules=rules,
        first_step=first_step,
        resume=resume,
    )
    scaling = Scaling(scaler)
    session = Watch(
        models, optimizers, sites, outlet, every=every, scaling=scaling, first_step=first_step
    )
    _close_at_exit(session)
    return session


def _describe(
    models: Mapping[str, nn.Module],
    optimizers: Sequence[Any],
    sites: ParameterSites,
    name: str | None,
) -> dict[str, Any]:
    """What a reader of the run wants to know; nothing of the machine's owner or environment."""
    return {
        "name": name,
        "model": ", ".join(type(model).__name__ for model in models.values()),
        "optimizer": ", ".join(type(optimizer).__name__ for optimizer in optimizers),
        "num_parameters": int(sites.sizes().sum()),
        "num_tensors": len(sites.params),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(next((p.device for p in sites.params), "cpu")),
        "num_threads": torch.get_num_threads(),
    }


def _close_at_exit(session: Watch) -> None:
    """The last rows are not lost when the program ends without `close()`."""
    reference = weakref.ref(session)

    def close() -> None:
        if (alive := reference()) is not None:
            alive.close()

    atexit.register(close)
