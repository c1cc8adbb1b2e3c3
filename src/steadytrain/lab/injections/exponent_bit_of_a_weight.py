"""The highest bit of the exponent of one weight flips."""

from __future__ import annotations

from steadytrain.lab.guarding.injection import Scene, flip_bit, injection, one_of


def strike(scene: Scene) -> None:
    """It is as it was left, but for this."""
    flip_bit(one_of(scene.parameters, scene.generator), 30, scene.generator)


INJECTION = injection(__name__, __doc__, at="rest", strike=strike)
