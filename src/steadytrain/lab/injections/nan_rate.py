"""The learning rate is NaN for a step, as a schedule that divides zero by zero."""

from __future__ import annotations

from steadytrain.lab.guarding.injection import Scene, injection


def strike(scene: Scene) -> None:
    """It is as it was left, but for this."""
    for group in scene.groups:
        group["lr"] = float("nan")


INJECTION = injection(__name__, __doc__, at="rest", strike=strike)
