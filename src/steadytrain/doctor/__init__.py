"""The doctor: proves a root cause by changing one thing and running again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steadytrain.core.lazy import lazily

if TYPE_CHECKING:
    from steadytrain.doctor.diagnosing import diagnose

_HOMES = {"diagnose": "diagnosing"}

__all__ = ["diagnose"]

__getattr__, __dir__ = lazily(__name__, _HOMES)
