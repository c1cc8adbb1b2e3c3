"""Lightning's detector of loss spikes, called as Fabric calls it."""

from __future__ import annotations

import tempfile

import torch

from benchmarks.fault_judges.judge import Judge, alarm
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said

SPIKE = ("bad-batch", "lr-too-high", "missing-grad-clip")


class SpikeDetection(Judge):
    name = "Lightning SpikeDetection"
    package = "lightning"
    what = "`lightning.fabric.utilities.spike.SpikeDetection`, defaults, on the loss of every step"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        from lightning import Fabric
        from lightning.fabric.utilities.spike import SpikeDetection as Detection

        self._fabric = Fabric(accelerator="cpu", devices=1)
        self._folder = tempfile.TemporaryDirectory()
        self._detection = Detection(
            mode="min", exclude_batches_path=f"{self._folder.name}/skip.json"
        )
        self._said: list[Said] = []

    def after_update(self, loss: float) -> None:
        try:
            self._detection.on_train_batch_end(self._fabric, torch.tensor(loss), None, self.step)
        except Exception as error:
            if type(error).__name__ != "TrainingSpikeException":
                raise
            self._said.append(alarm("spike", self.step, SPIKE))

    def said(self) -> list[Said]:
        return self._said[:1]

    def close(self) -> None:
        self._folder.cleanup()
