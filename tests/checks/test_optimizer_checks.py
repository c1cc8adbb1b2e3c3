"""What the checks of the optimizer say: who holds what, decay, momentum, epsilon, clip, rate."""

import copy
from functools import partial

import pytest
import torch
from preflight_programs import answer, classifier, cross_entropy, regression
from torch import nn
from torch.optim import SGD, Adam, AdamW

HOLDING = (
    "parameters-not-in-optimizer",
    "stale-optimizer-parameters",
    "parameters-held-twice",
    "frozen-parameters",
    "parameters-not-registered",
)


def held_by(make, **fields):
    """The classifier with the optimizer that `make(model)` gives."""
    program = classifier(**fields)
    program.optimizer = make(program.model)
    return program


@pytest.mark.parametrize("name", HOLDING)
def test_an_optimizer_of_the_whole_model_fails_nothing(name):
    assert answer(classifier(), name).verdict == "passed"


def test_a_last_layer_left_out_is_named():
    program = held_by(lambda model: Adam(model[0].parameters()))
    said = answer(program, "parameters-not-in-optimizer")
    assert said.verdict == "failed"
    assert said.findings[0].evidence["parameters"] == ("2.weight", "2.bias")


def test_a_fresh_body_left_out_is_named_and_a_trained_one_is_not():
    program = held_by(lambda model: Adam(model[2].parameters()))
    assert answer(program, "parameters-not-in-optimizer").verdict == "failed"
    with torch.no_grad():
        program.model[0].weight += 1.0
    assert answer(program, "parameters-not-in-optimizer").verdict == "passed"


def test_an_optimizer_in_extra_counts():
    program = held_by(lambda model: Adam(model[0].parameters()))
    program.extra["head"] = {"optimizer": Adam(program.model[2].parameters())}
    assert answer(program, "parameters-not-in-optimizer").verdict == "passed"


def test_a_layer_replaced_after_the_optimizer_is_named():
    program = classifier()
    program.model[2] = copy.deepcopy(program.model[2])
    said = answer(program, "stale-optimizer-parameters")
    assert said.verdict == "failed"
    assert answer(program, "parameters-not-in-optimizer").verdict == "passed"
    assert said.findings[0].site == "2.weight"
    assert said.findings[0].causes[0] == "stale-optimizer-params"


def test_a_temperature_of_its_own_in_the_optimizer_is_no_stale_parameter():
    own = nn.Parameter(torch.zeros(()))
    program = held_by(lambda model: Adam([*model.parameters(), own]))
    assert answer(program, "stale-optimizer-parameters").verdict == "passed"


def test_two_optimizers_that_both_step_a_parameter_are_seen():
    def step(program, batch):
        program.optimizer.zero_grad()
        loss = cross_entropy(program.model, batch)
        loss.backward()
        program.optimizer.step()
        if program.extra["both"]:
            program.extra["other"].step()
        return loss.detach()

    for both in (True, False):
        program = classifier(step_fn=step, extra={"both": both})
        program.extra["other"] = Adam(program.model.parameters())
        said = answer(program, "parameters-held-twice")
        assert (said.verdict == "failed") == both


def test_a_fresh_frozen_layer_fails_and_a_trained_one_passes():
    program = classifier()
    program.model[0].requires_grad_(False)
    said = answer(program, "frozen-parameters")
    assert said.verdict == "failed"
    assert said.findings[0].site == "0"
    with torch.no_grad():
        program.model[0].weight *= 3.0
    assert answer(program, "frozen-parameters").verdict == "passed"


def test_batches_that_a_norm_has_seen_are_a_trace_of_training():
    program = classifier(tail=(nn.BatchNorm1d(3),))
    program.model[0].requires_grad_(False)
    program.model[3].requires_grad_(False)
    assert answer(program, "frozen-parameters").verdict == "failed"
    program.model[3].num_batches_tracked += 5
    assert answer(program, "frozen-parameters").verdict == "passed"


def test_a_frozen_twin_of_a_trainable_part_is_a_target_network():
    program = classifier()
    program.model.add_module("target", copy.deepcopy(program.model).requires_grad_(False))
    program.loss_fn = lambda model, batch: cross_entropy(model[:3], batch)
    assert answer(program, "frozen-parameters").verdict == "passed"


def test_a_fresh_body_that_no_optimizer_was_given_is_frozen_on_purpose():
    program = held_by(lambda model: Adam(model[2].parameters()))
    program.model[0].requires_grad_(False)
    assert answer(program, "frozen-parameters").verdict == "passed"


def test_everything_frozen_is_critical():
    program = classifier()
    program.model.requires_grad_(False)
    said = answer(program, "frozen-parameters")
    assert said.verdict == "failed"
    assert said.findings[0].severity.name == "CRITICAL"


class Listed(nn.Module):
    """A hidden layer in a dictionary of a list, where nobody finds it."""

    def __init__(self, *, used=True):
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.hidden = [{"layer": nn.Linear(4, 4)}]
        self.used = used

    def forward(self, x):
        return self.head(self.hidden[0]["layer"](x) if self.used else x)


@pytest.mark.parametrize("used", [True, False])
def test_layers_in_a_list_matter_where_they_get_a_gradient(used):
    program = classifier()
    program.model = Listed(used=used)
    program.optimizer = Adam(program.model.parameters())
    said = answer(program, "parameters-not-registered")
    assert (said.verdict == "failed") == used


def test_unregistered_layers_that_an_optimizer_holds_are_trained():
    program = classifier()
    program.model = Listed()
    hidden = program.model.hidden[0]["layer"]
    program.optimizer = Adam([*program.model.parameters(), *hidden.parameters()])
    assert answer(program, "parameters-not-registered").verdict == "passed"


@pytest.mark.parametrize(
    ("make", "fails"),
    [
        (partial(AdamW, lr=1e-3, weight_decay=9.9), False),
        (partial(AdamW, lr=1e-3, weight_decay=10.1), True),
        (partial(SGD, lr=0.1, momentum=0.9, weight_decay=9e-3), False),
        (partial(SGD, lr=0.1, momentum=0.9, weight_decay=1.1e-2), True),
        (partial(SGD, lr=0.1, weight_decay=0.09), False),
    ],
)
def test_decay_is_judged_by_what_a_step_takes_off(make, fails):
    program = held_by(lambda model: make(model.parameters()))
    assert (answer(program, "excessive-weight-decay").verdict == "failed") == fails


def test_decay_may_be_large_where_a_norm_makes_the_length_of_weights_free():
    def groups(model):
        own = [{"params": [model[3].weight], "weight_decay": 20.0}]
        rest = [p for name, p in model.named_parameters() if name != "3.weight"]
        return AdamW([*own, {"params": rest, "weight_decay": 0.0}], lr=1e-3)

    layers = (nn.Linear(3, 16, bias=False), nn.LayerNorm(16, eps=1e-12), nn.Linear(16, 3))
    assert answer(held_by(groups, tail=layers), "excessive-weight-decay").verdict == "passed"
    layers = (nn.Linear(3, 16, bias=False), nn.ReLU(), nn.Linear(16, 3))
    assert answer(held_by(groups, tail=layers), "excessive-weight-decay").verdict == "failed"


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (partial(SGD, lr=0.1, momentum=0.99), None),
        (partial(SGD, lr=0.1, momentum=0.996), "momentum-too-high"),
        (partial(Adam, betas=(0.9, 0.999)), None),
        (partial(Adam, betas=(0.98, 0.9)), "momentum-too-high"),
        (partial(Adam, betas=(0.0, 0.9)), None),
        (partial(Adam, betas=(0.9, 0.99979)), None),
        (partial(Adam, betas=(0.9, 0.99981)), "adam-beta2-too-high"),
    ],
)
def test_momentum_and_betas_are_bounded(make, cause):
    said = answer(held_by(lambda model: make(model.parameters())), "extreme-momentum")
    assert (said.findings[0].causes[0] if said.findings else None) == cause


def test_an_epsilon_above_every_gradient_is_seen():
    for eps, verdict in ((1e-8, "passed"), (10.0, "failed")):
        program = held_by(lambda model, eps=eps: Adam(model.parameters(), eps=eps))
        assert answer(program, "epsilon-against-gradient").verdict == verdict


def test_the_clip_counts_when_epsilon_is_judged():
    program = held_by(lambda model: Adam(model.parameters()), clip=1e-9)
    assert answer(program, "epsilon-against-gradient").verdict == "failed"


@pytest.mark.parametrize(("clip", "verdict"), [(1.0, "passed"), (1e-5, "failed"), (None, "passed")])
def test_a_clip_far_below_the_gradient_is_seen_where_scale_matters(clip, verdict):
    plain = held_by(lambda model: SGD(model.parameters(), lr=0.1), clip=clip)
    assert answer(plain, "clip-far-below-gradient").verdict == verdict
    assert answer(classifier(clip=clip), "clip-far-below-gradient").verdict == "passed"


@pytest.mark.parametrize("unscale_first", [True, False])
def test_clipping_with_the_loss_scale_in_the_gradient_is_seen(unscale_first):
    def step(program, batch):
        scaler = program.scaler
        program.optimizer.zero_grad()
        loss = cross_entropy(program.model, batch)
        scaler.scale(loss).backward()
        if unscale_first:
            scaler.unscale_(program.optimizer)
        nn.utils.clip_grad_norm_(program.model.parameters(), 1.0)
        scaler.step(program.optimizer)
        scaler.update()
        return loss.detach()

    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    program = held_by(lambda model: SGD(model.parameters(), lr=0.1), step_fn=step, scaler=scaler)
    said = answer(program, "clip-far-below-gradient")
    assert said.verdict == ("passed" if unscale_first else "failed")
    assert unscale_first or said.findings[0].causes[0] == "unscale-order"


@pytest.mark.parametrize(
    ("rate", "cause"), [(1e-3, None), (1e-2, None), (100.0, "lr-too-high"), (1e-8, "lr-too-low")]
)
def test_a_rate_far_outside_the_range_is_seen(rate, cause):
    program = regression()
    program.optimizer = Adam(program.model.parameters(), lr=rate)
    said = answer(program, "rate-far-off")
    assert (said.findings[0].causes[0] if said.findings else None) == cause


@pytest.mark.parametrize(("factor", "verdict"), [(27.0, "passed"), (33.0, "failed")])
def test_a_group_at_a_rate_of_its_own_is_named(factor, verdict):
    def groups(model):
        head = {"params": model[2].parameters(), "lr": factor * 1e-3}
        return Adam([{"params": model[0].parameters()}, head], lr=1e-3)

    said = answer(held_by(groups), "uneven-rates")
    assert said.verdict == verdict
    assert verdict == "passed" or said.findings[0].site == "2.weight"


def test_rates_that_fall_from_layer_to_layer_pass():
    def groups(model):
        own = list(model.parameters())
        return Adam([{"params": [p], "lr": 1e-3 * 20.0**-k} for k, p in enumerate(own)])

    assert answer(held_by(groups), "uneven-rates").verdict == "passed"


@pytest.mark.parametrize(
    ("factor", "clip", "verdict"),
    [(1.0, None, "passed"), (1e3, None, "failed"), (1e3, 1.0, "not-applicable")],
)
def test_rare_large_gradients_need_a_clip(factor, clip, verdict):
    program = regression()
    program.batches = [program.batches[k % 4] for k in range(8)]
    program.batches[5] = (program.batches[5][0], factor * program.batches[5][1])
    program.optimizer, program.clip = SGD(program.model.parameters(), lr=1e-2), clip
    assert answer(program, "unclipped-outliers").verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1e-3, "passed"), (1e4, "failed")])
def test_a_penalty_that_drowns_the_loss_is_seen(factor, verdict):
    def loss_fn(model, batch):
        size = sum(weight.square().sum() for weight in model.parameters())
        return cross_entropy(model, batch) + factor * size

    assert answer(classifier(loss_fn=loss_fn), "drowning-penalty").verdict == verdict


def test_an_ordinary_epsilon_is_not_blamed_for_a_gradient_that_vanishes():
    program = classifier(tail=(nn.Linear(3, 3),))
    with torch.no_grad():
        program.model[3].weight.fill_(1e-12)
    assert answer(program, "epsilon-against-gradient").verdict == "passed"
