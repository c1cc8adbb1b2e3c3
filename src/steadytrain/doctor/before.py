"""What is known before anything is run: the answers of the preflight."""

from __future__ import annotations

import importlib
from typing import Any

from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.program import Program


def known_before(program: Program, seed: int) -> Diagnosis | None:
    """What the checks before step 0 say; a finding where they could not be asked."""
    try:
        checks: Any = importlib.import_module("steadytrain.checks")
        return checks.preflight(program, progress=False, seed=seed)
    except Exception as error:  # a check that breaks must not end the diagnosis
        return Diagnosis(
            findings=(
                Finding(
                    rule="broken-preflight",
                    code="LOP900",
                    severity=Severity.NOTE,
                    step=0,
                    message=f"The preflight raised {type(error).__name__}: {error}. The doctor goes "
                    "on without its answers; `steadytrain check` shows where it broke.",
                ),
            )
        )
