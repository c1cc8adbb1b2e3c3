"""The experiment about initialisation: what it measures and what it makes of it."""

import dataclasses

import numpy as np
import pytest
import torch

from steadytrain.lab import LabSettings, find_experiment
from steadytrain.lab.signal.claims import claims
from steadytrain.lab.signal.findings import Starts, backward, forward
from steadytrain.lab.signal.one_start import ACTIVATIONS, WAYS, StartJob, StartRecord, run_start

RUN = find_experiment("init").run
SMALL = StartJob(activation="ReLU", way="mirrored", seed=0, depth=8, width=32, num_samples=16)


def verdicts(starts):
    return {claim.question.split()[0]: claim.verdict for claim in claims(starts)}


def starts_where(signal, gradient, seeds=2):
    """Records of every activation and way whose ends have these ratios, seed by seed."""
    return Starts.of(
        StartRecord(
            job=dataclasses.replace(SMALL, activation=activation, way=way, seed=seed),
            signal=np.array([1.0, signal[seed]]),
            gradient=np.array([gradient[seed], 1.0]),
            weight_variance=1 / 3,
            kept_difference=1e-9,
        )
        for activation in ACTIVATIONS
        for way in WAYS
        for seed in range(seeds)
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mirrored_pairs_hold_both_ends_for_every_activation(activation):
    record = run_start(dataclasses.replace(SMALL, activation=activation, depth=50, width=64))
    assert 0.5 < record.forward_ratio < 2
    assert 0.5 < record.backward_ratio < 2


def test_the_default_loses_the_input_and_is_a_third_of_one_over_the_fan_in():
    """Its biases carry a signal to the end, but the same one for every input."""
    record = run_start(dataclasses.replace(SMALL, way="torch default", depth=30, width=128))
    assert record.weight_variance == pytest.approx(1 / 3, rel=0.05)
    assert record.forward_ratio > 1e-3
    assert record.kept_difference < 1e-15


def test_the_exact_gain_holds_the_signal_of_tanh_and_not_its_gradient():
    record = run_start(
        dataclasses.replace(SMALL, activation="tanh", way="exact gain", depth=50, width=256)
    )
    assert 0.5 < record.forward_ratio < 2
    assert record.backward_ratio > 100


def test_a_network_is_the_same_under_the_same_seed_and_leaves_the_random_numbers():
    state = torch.get_rng_state()
    first, second = run_start(SMALL), run_start(SMALL)
    assert np.array_equal(first.signal, second.signal)
    assert torch.equal(state, torch.get_rng_state())


def test_ratios_go_with_the_signal_and_against_it():
    starts = starts_where(signal=[3.0, 3.0], gradient=[0.1, 0.1])
    assert starts.values("GELU", "He", forward) == [3.0, 3.0]
    assert starts.values("GELU", "He", backward) == pytest.approx([0.1, 0.1])


def test_what_is_not_a_number_is_beyond_the_band():
    starts = starts_where(signal=[np.nan, np.inf], gradient=[1.0, 1.0])
    assert starts.num_within("GELU", "He", forward) == 0


def test_statements_hold_where_every_seed_is_within_the_band():
    held = verdicts(starts_where(signal=[1.0, 1.9], gradient=[0.6, 1.0]))
    assert set(held.values()) - {held["Is"]} == {"holds"}


def test_one_seed_beyond_the_band_contradicts_what_is_said_of_every_seed():
    found = [claim.verdict for claim in claims(starts_where([1.0, 2.1], [1.0, 1.0]))]
    assert found[2] == "contradicted"
    assert found[1] == "not shown"
    assert found[-1] == "contradicted"


def test_a_single_seed_shows_nothing():
    found = [claim.verdict for claim in claims(starts_where([1.0], [1.0], seeds=1))]
    assert set(found[1:]) == {"not shown"}


def test_the_result_names_what_auto_chooses(tmp_path):
    result = RUN(LabSettings(out=tmp_path, quick=True, seeds=1)).experiment
    chosen = dict(result.tables[-1].rows)
    assert chosen.keys() == ACTIVATIONS.keys()
    assert chosen["sigmoid"] == "mirrored"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_at_full_size_only_mirrored_pairs_hold_all_eight(tmp_path):
    result = RUN(LabSettings(out=tmp_path, seeds=2)).experiment
    assert "mirrored 8" in result.summary
    assert "exact gain 0" in result.summary or "exact gain 1" in result.summary
