"""All of one parameter is NaN, as memory that was handed out twice."""

from __future__ import annotations

from steadytrain.lab.guarding.injection import Scene, injection, one_of


def strike(scene: Scene) -> None:
    """It is as it was left, but for this."""
    one_of(scene.parameters, scene.generator).detach().data.fill_(float("nan"))


INJECTION = injection(__name__, __doc__, at="rest", strike=strike)
