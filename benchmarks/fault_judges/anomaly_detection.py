"""torch's own search for NaN in the backward pass."""

from __future__ import annotations

import torch

from benchmarks.fault_judges.judge import Judge, alarm
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said

OPERATIONS = {
    "Log": ("log-of-zero",),
    "Sqrt": ("sqrt-zero-grad",),
    "Norm": ("sqrt-zero-grad",),
    "Div": ("div-by-zero",),
    "Exp": ("exp-overflow",),
    "Pow": ("sqrt-zero-grad", "exp-overflow"),
    "Softmax": ("fully-masked-row",),
}
"""The operation it names, and what that can mean."""


class AnomalyDetection(Judge):
    name = "detect_anomaly"
    what = "`torch.autograd.set_detect_anomaly(True)`; it ends the run where it speaks"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._before = torch.is_anomaly_enabled()
        torch.autograd.set_detect_anomaly(True)

    def raised(self, error: Exception) -> Said | None:
        text = str(error)
        if not isinstance(error, RuntimeError) or "returned nan values" not in text:
            return None
        causes = [cause for name, own in OPERATIONS.items() if name in text for cause in own]
        return alarm(text.split("'")[1], self.step, tuple(causes), severity=Severity.CRITICAL)

    def close(self) -> None:
        torch.autograd.set_detect_anomaly(self._before)
