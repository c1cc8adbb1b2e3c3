"""All second moments are zero, as after a restart that lost half of the state."""

from __future__ import annotations

from steadytrain.lab.guarding.injection import Scene, injection


def strike(scene: Scene) -> None:
    """It is as it was left, but for this."""
    for state in scene.moments:
        state["exp_avg_sq"].detach().data.zero_()


INJECTION = injection(__name__, __doc__, at="rest", strike=strike)
