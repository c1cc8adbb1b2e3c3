"""What `watch` is asked for, checked before anything is attached or written."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from steadytrain.core.errors import UsageError


def check_counts(at_least: int, **counts: object) -> None:
    """Every count is a whole number from `at_least` on.

    Raises:
        UsageError: one is not; the message names it.
    """
    for name, count in counts.items():
        whole = hasattr(count, "__index__") and not isinstance(count, bool)
        if not whole or int(count) < at_least:  # type: ignore[call-overload]
            msg = f"watch({name}=...) must be a whole number of steps, at least {at_least}, got"
            raise UsageError(f"{msg} {count!r}. Leave it out for the default.")


def check_kinds(
    scaler: Any, rules: Sequence[Any] | None, run_dir: str | PathLike[str] | None
) -> None:
    """The scaler scales, the rules judge, and the directory is a path.

    Raises:
        UsageError: one does not; the message says what was found and what to do.
    """
    if scaler is not None and not callable(getattr(scaler, "is_enabled", None)):
        msg = f"watch(scaler=...): got {type(scaler).__name__}, expected a torch.amp.GradScaler."
        raise UsageError(f"{msg} Pass the one whose .step() you call.")
    wrong = next((rule for rule in rules or () if not hasattr(type(rule), "__rule__")), None)
    if wrong is not None:
        msg = f"watch(rules=...): found {type(wrong).__name__}, expected rule objects. Build them"
        raise UsageError(f"{msg} with steadytrain.engine.make_rules(select=[...]).")
    if run_dir is not None and not isinstance(run_dir, str | PathLike):
        msg = f"watch(run_dir=...): got {type(run_dir).__name__}, expected a path."
        raise UsageError(f"{msg} Leave it out to keep the run in memory.")
    if run_dir is not None and not str(run_dir).strip():
        msg = "watch(run_dir=...): got an empty path, expected a directory of the run's own."
        raise UsageError(f"{msg} Leave it out to keep the run in memory.")
