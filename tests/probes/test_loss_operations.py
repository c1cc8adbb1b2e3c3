"""Operations next to a loss are told by its graph."""

from __future__ import annotations

import torch
from torch.nn import functional

from steadytrain.probes.loss_graph import operations


def weights() -> torch.Tensor:
    return torch.rand(4, 3).requires_grad_()


def test_a_logarithm_of_a_softmax_is_one():
    chances = weights().softmax(-1)
    counts = operations(-(chances * chances.log()).sum())
    assert counts is not None
    assert (counts["loss_num_logs"], counts["loss_num_exps"]) == (1.0, 0.0)


def test_losses_of_torch_hold_none():
    counts = operations(functional.cross_entropy(weights(), torch.zeros(4, dtype=torch.long)))
    assert counts is not None
    assert sum(counts.values()) == 0


def test_a_division_by_a_number_is_no_quotient():
    counts = operations(weights().sum() / 12)
    assert counts is not None
    assert counts["loss_num_quotients"] == 0


def test_the_graph_tells_after_its_backward_too():
    loss = weights().exp().sum()
    loss.backward()
    counts = operations(loss)
    assert counts is not None
    assert counts["loss_num_exps"] == 1


def test_a_number_has_no_graph():
    assert operations(1.5) is None
    assert operations(torch.ones(())) is None
