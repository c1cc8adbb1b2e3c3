"""One element of a second moment is negative; its square root is NaN."""

from __future__ import annotations

from steadytrain.lab.guarding.injection import Scene, injection, one_of, set_one


def strike(scene: Scene) -> None:
    """It is as it was left, but for this."""
    moments = [state["exp_avg_sq"] for state in scene.moments]
    set_one(one_of(moments, scene.generator), -1.0, scene.generator)


INJECTION = injection(__name__, __doc__, at="rest", strike=strike)
