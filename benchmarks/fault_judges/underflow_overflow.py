"""Hugging Face's detector of activations and weights that leave the range."""

from __future__ import annotations

import contextlib
import io
import re

from benchmarks.fault_judges.judge import Judge, alarm
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said


class UnderflowOverflow(Judge):
    name = "DebugUnderflowOverflow"
    package = "transformers"
    what = "`transformers.debug_utils.DebugUnderflowOverflow(model)`; it ends the run"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        from transformers.debug_utils import DebugUnderflowOverflow

        self._printed = io.StringIO()
        self._names = {id(module): name for name, module in program.model.named_modules()}
        with contextlib.redirect_stdout(self._printed):
            self._detector = DebugUnderflowOverflow(program.model)
        show = self._detector.dump_saved_frames

        def keep() -> None:
            with contextlib.redirect_stdout(self._printed):
                show()

        self._detector.dump_saved_frames = keep

    def raised(self, error: Exception) -> Said | None:
        if "DebugUnderflowOverflow" not in str(error):
            return None
        frames = re.findall(r"^ +(\S+) (\w+)$", self._printed.getvalue(), re.MULTILINE)
        last = self._printed.getvalue().rsplit("\n\n", 2)[-1]
        is_input = bool(re.search(r"(nan|inf)\s+\S*\s*input\[", last))
        causes = (
            ("nonfinite-input",) if is_input else ("exp-overflow", "lr-too-high", "log-of-zero")
        )
        site = frames[-1][0] if frames else None
        return alarm("nan or inf", self.step, causes, site=site, severity=Severity.CRITICAL)
