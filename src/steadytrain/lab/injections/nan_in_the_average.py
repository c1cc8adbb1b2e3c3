"""One element of the averaged weights is NaN."""

from __future__ import annotations

from steadytrain.lab.guarding.injection import Scene, injection, one_of, set_one


def strike(scene: Scene) -> None:
    """It is as it was left, but for this."""
    set_one(one_of(scene.averages, scene.generator), float("nan"), scene.generator)


INJECTION = injection(__name__, __doc__, at="rest", strike=strike, needs="average")
