"""What the arms of the overhead benchmark do, not how long they take."""

import pytest
import torch
from benchmarks.overhead.monitors import OWN, PERIOD, Monitor
from benchmarks.overhead.peers import PEERS, Peer, find_peers
from benchmarks.overhead.ratios import overheads
from benchmarks.overhead.timing import TIMED_STEPS, Arm, make_arms, run_rounds
from benchmarks.overhead.workloads import WORKLOADS, loss_of, many_tensors


def arms_of(monitors, folder):
    return make_arms(many_tensors(4), monitors, seed=1, device="cpu", fused=False, folder=folder)


def test_every_arm_starts_from_the_same_weights_in_its_own_storage(tmp_path):
    arms = arms_of(OWN, tmp_path)
    weights = [next(arm.monitor.model.parameters()) for arm in arms]
    assert all(torch.equal(weight, weights[0]) for weight in weights)
    assert len({weight.data_ptr() for weight in weights}) == len(OWN)


@pytest.mark.parametrize("monitor", OWN, ids=lambda monitor: monitor.name)
def test_every_monitor_without_a_peer_trains_as_the_bare_step_does(monitor, tmp_path):
    bare, watched = arms_of((Monitor, monitor), tmp_path)
    for _ in range(PERIOD + 2):
        bare.train_step()
        watched.train_step()
    watched.monitor.close()
    pairs = zip(bare.monitor.model.parameters(), watched.monitor.model.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_a_round_of_turns_times_every_phase_of_the_sampling_period_equally_often(
    tmp_path, monkeypatch
):
    bare, watched = arms_of((Monitor, OWN[2]), tmp_path)
    timed, run = [], Arm.run

    def noted(arm, number, device):
        if arm is watched:
            timed.extend(range(arm.num_steps, arm.num_steps + number))
        return run(arm, number, device)

    monkeypatch.setattr(Arm, "run", noted)
    run_rounds([bare, watched], seconds=0.0, seed=0, device="cpu", min_rounds=1)
    timed = timed[-TIMED_STEPS * PERIOD :]
    assert sorted(step % PERIOD for step in timed) == sorted(TIMED_STEPS * list(range(PERIOD)))
    assert len(watched.blocks[0].steps) == len(bare.blocks[0].steps) == TIMED_STEPS * PERIOD


def test_every_block_of_a_watched_arm_holds_exactly_one_sampled_step(tmp_path):
    (arm,) = (a for a in arms_of(OWN, tmp_path) if a.monitor.name == "steadytrain")
    ends = [arm.num_steps for _ in range(3) if arm.run_block("cpu")]
    arm.monitor.watch.flush()
    sampled, _ = arm.monitor.watch.history.measured("act_rms")
    starts = [0, *ends[:-1]]
    held = [
        sum(start < step < end for step in sampled) for start, end in zip(starts, ends, strict=True)
    ]
    assert held == [1, 1, 1]


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_the_workloads_are_of_the_announced_size_and_learnable(name):
    workload = WORKLOADS[name]
    torch.manual_seed(0)
    model = workload.build()
    (inputs, targets), *_ = workload.batches(0, "cpu")
    loss = loss_of(model, (inputs[:2], targets[:2]))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(param.grad is not None for param in model.parameters())


def test_the_gpt_has_between_10_and_30_million_parameters_and_w3_a_thousand_tensors():
    sizes = {name: [p.numel() for p in w.build().parameters()] for name, w in WORKLOADS.items()}
    assert 10_000_000 <= sum(sizes["W2"]) <= 30_000_000
    assert len(sizes["W3"]) == 1000
    assert 260_000 < sum(sizes["W4"]) < 280_000


def test_a_peer_that_cannot_be_imported_is_listed_with_its_reason():
    class Missing(Peer):
        name, package, module = "missing", "no-such-package", "no_such_package_of_ours"

    present, (absence,) = find_peers([Missing])
    assert present == []
    assert absence.name == "missing"
    assert "No module named 'no_such_package_of_ours'" in absence.reason


def test_every_peer_either_takes_part_or_is_listed():
    present, absent = find_peers()
    assert {peer.name for peer in present} | {a.name for a in absent} == {p.name for p in PEERS}


def test_rounds_give_every_arm_a_block_and_bare_arms_equal_weights(tmp_path):
    arms = arms_of(OWN[:3], tmp_path)
    rounds = run_rounds(arms, seconds=0.0, seed=0, device="cpu", min_rounds=2)
    again, watched = overheads(arms)
    assert rounds == 2
    assert [len(arm.blocks) for arm in arms] == [2, 2, 2]
    assert again.trains_the_same
    assert watched.trains_the_same
