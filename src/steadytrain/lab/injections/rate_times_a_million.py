"""The learning rate is a million times as large for a step."""

from __future__ import annotations

from steadytrain.lab.guarding.injection import Scene, injection


def strike(scene: Scene) -> None:
    """It is as it was left, but for this."""
    for group in scene.groups:
        group["lr"] *= 1e6


INJECTION = injection(__name__, __doc__, at="rest", strike=strike)
