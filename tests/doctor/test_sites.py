"""How a place is said in a sentence."""

from __future__ import annotations

import pytest

from steadytrain.doctor.sites import said_site


@pytest.mark.parametrize(
    ("site", "said"),
    [("4", "layer 4"), ("0.weight", "layer 0.weight"), ("blocks.0.mlp", "blocks.0.mlp")],
)
def test_a_number_is_said_to_be_a_layer(site: str, said: str) -> None:
    assert said_site(site) == said
