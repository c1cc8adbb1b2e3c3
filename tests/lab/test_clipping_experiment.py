import math

import pytest
import torch
from torch import nn

from steadytrain.lab.clips.handlers import (
    ADAGC,
    COMPOSER,
    ON_SERIES,
    PLAIN,
    ROBUST,
    TORCH,
    ZCLIP,
    names,
)
from steadytrain.lab.clips.plan import QUICK, num_steps, scale_for
from steadytrain.lab.clips.published import AdaGC, FloorlessAGC, ZClip
from steadytrain.lab.clips.results import percent, shown, verdict
from steadytrain.lab.clips.series import SeriesJob, series
from steadytrain.lab.clips.training import TrainingJob
from steadytrain.lab.protocol import LabSettings


def trained(handler, fault, steps=30, seed=0):
    return TrainingJob(handler=handler, fault=fault, seed=seed, steps=steps, max_images=320).run()


def holding(*grads):
    weights = [nn.Parameter(torch.ones(len(grad))) for grad in grads]
    for weight, grad in zip(weights, grads, strict=True):
        weight.grad = torch.tensor(grad)
    return weights


@pytest.mark.parametrize("fault", ["one NaN", "one Inf"])
def test_torchs_clip_destroys_the_weights_and_robust_clip_does_not(fault):
    assert not trained(TORCH, fault).is_finite
    survivor = trained(ROBUST, fault)
    assert survivor.is_finite
    assert survivor.stem_movement > 0.0


def test_a_tensor_of_1e30_freezes_a_layer_for_good_without_a_clip():
    assert trained(PLAIN, "one tensor of 1e30").stem_movement < 1e-3
    assert trained(ROBUST, "one tensor of 1e30").stem_movement > 0.1


def test_robust_clip_moves_what_is_behind_a_zero_and_an_agc_without_floor_does_not():
    moved = {one: trained(one, "none").inner_movement for one in (PLAIN, ROBUST, COMPOSER)}
    assert moved[ROBUST] > 0.9 * moved[PLAIN] > 0.0
    assert moved[COMPOSER] == 0.0


@pytest.mark.slow
def test_adagc_freezes_what_is_behind_a_zero_once_its_warmup_is_over():
    moved = {one: trained(one, "none", 220).inner_movement for one in (PLAIN, ADAGC)}
    assert moved[ADAGC] < 0.2 * moved[PLAIN]


def test_a_run_is_the_same_twice():
    assert trained(ROBUST, "spike x1000, 5 steps") == trained(ROBUST, "spike x1000, 5 steps")


@pytest.mark.parametrize("handler", names())
def test_every_handler_trains(handler):
    assert math.isfinite(trained(handler, "none", 6).loss)


def test_the_norm_is_around_one_and_then_around_the_factor():
    norms = series(SeriesJob(handler=ROBUST, factor=3.0, seed=0))
    assert norms[:500].mean() == pytest.approx(1.0, rel=0.02)
    assert norms[500:].mean() == pytest.approx(3.0, rel=0.02)
    assert norms[500:].std() == pytest.approx(0.3, rel=0.1)


def test_zclip_clips_every_step_after_the_norm_doubled_and_robust_clip_lets_go():
    rises = {
        one: SeriesJob(handler=one, factor=2.0, seed=0, before=200, after=600).run()
        for one in (ZCLIP, ROBUST)
    }
    assert rises[ZCLIP].clipped_after == 1.0
    assert rises[ZCLIP].steps_to_rest == 600
    assert rises[ROBUST].steps_to_rest <= 100
    assert rises[ROBUST].clipped_after * 600 <= 100


@pytest.mark.parametrize("handler", ON_SERIES)
def test_a_clip_never_makes_a_gradient_longer(handler):
    record = SeriesJob(handler=handler, factor=3.0, seed=1, before=120, after=60).run()
    assert (record.applied <= record.norms * 1.0001).all()


def test_zclip_clips_to_its_published_threshold():
    clip = ZClip(max_norm=None)
    for norm in [1.0, 3.0] * 12 + [2.0]:
        clip(holding([norm]))
    mean, deviation = 2.0, math.sqrt(24 / 25)
    weights = holding([10.0])
    clip(weights)
    z = (10.0 - mean) / deviation
    assert float(weights[0].grad) == pytest.approx(mean + 2.5**2 * deviation / z, rel=1e-4)


def test_adagc_clips_each_tensor_to_its_own_past():
    clip = AdaGC(warmup_steps=3)
    for _ in range(2):
        clip(holding([0.3], [0.4]))
    weights = holding([5.0], [0.1])
    clip(weights)
    assert [float(one.grad) for one in weights] == pytest.approx([1.05 * 0.3, 0.1])


def test_an_agc_without_floor_never_moves_a_zero():
    weights = holding([1.0, 1.0])
    weights[0].data.zero_()
    FloorlessAGC()(weights)
    assert not weights[0].grad.any()


def test_adagc_agrees_with_the_package_that_ships_it():
    optimizers = pytest.importorskip("pytorch_optimizer")
    torch.manual_seed(0)
    theirs = [nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(5))]
    ours = [nn.Parameter(one.detach().clone()) for one in theirs]
    clip = AdaGC(warmup_steps=10)
    peer = optimizers.AdaGC(theirs, lr=0.01, weight_decay=0.0, warmup_steps=10)
    plain = torch.optim.AdamW(ours, lr=0.01, weight_decay=0.0)
    for step in range(30):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one) * (30.0 if step == 20 else 1.0)
            other.grad = one.grad.clone()
        clip(ours)
        plain.step()
        peer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_single_seed_shows_nothing():
    assert verdict([True]) == "not shown"
    assert [verdict(found) for found in ([True] * 2, [False] * 2, [True, False])] == [
        "holds",
        "contradicted",
        "not shown",
    ]


def test_diverged_runs_are_counted_not_averaged():
    assert shown([1.0, math.nan, math.inf]) == "not finite in 2 of 3"
    assert percent([0.01, 0.5]) == "1.0 to 50.0%"


def test_settings_change_the_size(tmp_path):
    scale = scale_for(LabSettings(out=tmp_path, quick=True, seeds=5, epochs=0.01))
    assert (scale.seeds, scale.factors) == (5, QUICK.factors)
    assert num_steps(scale, 768) == 2
