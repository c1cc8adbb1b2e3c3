"""Operations next to a loss are told by its graph."""

from __future__ import annotations

import pytest
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


def count(kind: str, loss: torch.Tensor) -> float:
    counts = operations(loss)
    assert counts is not None
    return counts[f"loss_num_{kind}"]


LABELS = torch.zeros(4, dtype=torch.long)


def test_a_softmax_before_a_cross_entropy_is_squashed_twice():
    assert count("squashed", functional.cross_entropy(weights().softmax(-1), LABELS)) == 1
    assert count("squashed", functional.cross_entropy(weights(), LABELS)) == 0


def test_a_sigmoid_before_a_loss_with_logits_is_squashed_twice():
    loss = functional.binary_cross_entropy_with_logits
    assert count("squashed", loss(weights().sigmoid(), torch.ones(4, 3))) == 1
    assert count("squashed", loss(weights(), torch.ones(4, 3))) == 0


def test_a_likelihood_of_raw_outputs_has_no_logarithm():
    outputs = functional.linear(torch.ones(4, 3), weights(), torch.zeros(4))
    assert count("unlogged", functional.nll_loss(outputs, LABELS)) == 1
    assert count("unlogged", functional.nll_loss(outputs.softmax(-1), LABELS)) == 1
    assert count("unlogged", functional.nll_loss(outputs.softmax(-1).log(), LABELS)) == 0
    assert count("unlogged", functional.nll_loss(outputs.log_softmax(-1), LABELS)) == 0


def test_chances_over_the_batch_are_told_from_those_over_the_classes():
    assert count("across_batch", functional.nll_loss(weights().log_softmax(0), LABELS)) == 1
    assert count("across_batch", functional.nll_loss(weights().log_softmax(-1), LABELS)) == 0


def test_predictions_that_meet_all_targets_are_broadcast():
    column = torch.rand(4, 1, requires_grad=True) * 2
    assert count("broadcast", (column - torch.ones(4)).square().mean()) == 1
    assert count("broadcast", (column[:, 0] - torch.ones(4, 1)).abs().mean()) == 1
    assert count("broadcast", (column - torch.ones(4, 1)).square().mean()) == 0


def test_differences_of_all_pairs_of_predictions_are_meant():
    column = torch.rand(4, 1, requires_grad=True) * 2
    assert count("broadcast", (column - column.T).square().mean()) == 0


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_loss_of_torch_that_broadcasts_is_seen_too():
    column = torch.rand(4, 1, requires_grad=True) * 2
    assert count("broadcast", functional.mse_loss(column, torch.ones(4))) == 1


def test_a_number_has_no_graph():
    assert operations(1.5) is None
    assert operations(torch.ones(())) is None
