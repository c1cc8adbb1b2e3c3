import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

import steadytrain as st
from steadytrain import recipes
from steadytrain.core.errors import UsageError


def deep_plain(depth=30, width=32, activation=nn.ReLU):
    layers = [nn.Sequential(nn.Linear(width, width), activation()) for _ in range(depth)]
    return nn.Sequential(nn.Linear(20, width), activation(), *layers, nn.Linear(width, 5))


def task(seed=0):
    """Points around five centres, with their centre as the label."""
    own = torch.Generator().manual_seed(seed)
    centres = torch.randn(5, 20, generator=own)
    labels = torch.randint(5, (96,), generator=own)
    return centres[labels] + 0.5 * torch.randn(96, 20, generator=own), labels


def accuracy_after(model, optimizer, steps=60, clip=None, scheduler=None):
    x, y = task()
    for _ in range(steps):
        functional.cross_entropy(model(x), y).backward()
        if clip is not None:
            clip(model.parameters())
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        optimizer.zero_grad()
    return (model(x).argmax(dim=1) == y).float().mean().item()


def quiet(*args, **kwargs):
    return st.stabilise(*args, verbose=False, **kwargs)


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU,
        pytest.param(nn.Tanh, marks=pytest.mark.slow),
        pytest.param(nn.GELU, marks=pytest.mark.slow),
    ],
)
def test_a_deep_plain_network_that_does_not_learn_learns(activation):
    torch.manual_seed(0)
    model = deep_plain(activation=activation)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    broken, its_optimizer = copy.deepcopy((model, optimizer))
    assert accuracy_after(broken, its_optimizer) < 0.5
    steady = quiet(model, optimizer, total_steps=60)
    assert steady.optimizer is optimizer
    assert accuracy_after(model, optimizer, clip=steady.clip, scheduler=steady.scheduler) > 0.9


def test_it_learns_too_in_a_loop_that_takes_nothing_of_what_is_returned():
    torch.manual_seed(0)
    model = deep_plain()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    quiet(model, optimizer)
    assert accuracy_after(model, optimizer) > 0.9


def test_every_trainable_parameter_is_in_the_optimizer_once():
    model = deep_plain(depth=3)
    optimizer = torch.optim.AdamW(model[2:].parameters(), lr=1e-3)
    steady = quiet(model, optimizer)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert "0.weight" in {change.path for change in steady.changes}


def test_rates_per_group_are_kept():
    model = deep_plain(depth=3)
    groups = [
        {"params": model[:2].parameters(), "lr": 1e-4},
        {"params": model[2:].parameters(), "lr": 3e-4},
    ]
    optimizer = torch.optim.AdamW(groups)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    quiet(model, optimizer)
    assert len(optimizer.param_groups) == 4
    assert {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]} == rates


def test_a_rate_far_above_the_published_one_comes_down_in_proportion():
    model = deep_plain(depth=3)
    parts = [model[:2].parameters(), model[2:].parameters()]
    groups = [{"params": p, "lr": lr} for p, lr in zip(parts, (1.0, 0.1), strict=True)]
    optimizer = torch.optim.AdamW(groups)
    quiet(model, optimizer)
    assert {round(g["lr"], 9) for g in optimizer.param_groups} == {1e-3, 1e-4}


def test_a_rate_just_below_that_is_kept():
    model = deep_plain(depth=3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=9.9e-3)
    quiet(model, optimizer)
    assert {g["lr"] for g in optimizer.param_groups} == {9.9e-3}


def test_biases_and_norms_are_no_longer_decayed():
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.3)
    quiet(model, optimizer)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    found = {name: decay[id(p)] for name, p in model.named_parameters()}
    spared = {name for name, value in found.items() if value == 0.0}
    assert spared == {"0.bias", "1.weight", "1.bias", "2.bias"}
    assert found["0.weight"] == found["2.weight"] == 0.3


def test_what_you_set_is_kept_and_what_torch_set_is_the_recipes():
    model = nn.TransformerEncoderLayer(16, 2, 32)
    optimizer = torch.optim.AdamW(model.parameters(), eps=1e-6)
    quiet(model, optimizer)
    group = optimizer.param_groups[0]
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.9, 0.95), 1e-6, 0.1)


def test_the_names_of_named_parameters_stay_with_them():
    model = deep_plain(depth=2)
    optimizer = torch.optim.AdamW(model[2:].named_parameters(), lr=1e-3)
    quiet(model, optimizer)
    for group in optimizer.param_groups:
        assert len(group["param_names"]) == len(group["params"])


def test_weights_of_an_optimizer_that_has_stepped_are_left_alone():
    model = deep_plain(depth=3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    accuracy_after(model, optimizer, steps=2)
    before = copy.deepcopy(model.state_dict())
    moments = {id(p): optimizer.state[p]["exp_avg"].clone() for p in model.parameters()}
    steady = quiet(model, optimizer)
    assert steady.recipe.name == "mlp"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(
        torch.equal(optimizer.state[p]["exp_avg"], moments[id(p)]) for p in model.parameters()
    )
    assert any("has taken steps" in text for text in steady.advice)


def test_new_weights_under_old_moments_are_refused():
    model = deep_plain(depth=3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    accuracy_after(model, optimizer, steps=2)
    with pytest.raises(UsageError, match="remembers gradients"):
        quiet(model, optimizer, pretrained=False)


def test_pretrained_weights_are_never_initialised():
    torch.manual_seed(0)
    model = deep_plain(depth=2, width=64)
    accuracy_after(model, torch.optim.AdamW(model.parameters(), lr=3e-3), steps=60)
    before = copy.deepcopy(model.state_dict())
    steady = quiet(model)
    assert steady.recipe.name == "finetune"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_finetune_recipe_leaves_any_weights_alone():
    model = deep_plain(depth=2)
    before = copy.deepcopy(model.state_dict())
    quiet(model, recipe="finetune")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_frozen_weights_stay_as_they_are_and_where_they_are():
    model = deep_plain(depth=2)
    model[0].requires_grad_(requires_grad=False)
    before = copy.deepcopy(model[0].state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    quiet(model, optimizer)
    assert all(torch.equal(value, before[name]) for name, value in model[0].state_dict().items())
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(model.parameters()))


def test_a_seed_makes_it_repeatable_and_leaves_the_global_numbers_alone():
    models = [deep_plain(depth=2), deep_plain(depth=2)]
    state = torch.get_rng_state()
    for model in models:
        quiet(model, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    pairs = zip(*(model.parameters() for model in models), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_an_rms_norm_without_epsilon_gets_one():
    model = nn.Sequential(nn.Linear(8, 8), nn.RMSNorm(8), nn.Linear(8, 2))
    quiet(model)
    assert model[1].eps == 1e-5


def test_batch_norm_over_one_sample_becomes_group_norm_with_its_parameters():
    model = nn.Sequential(nn.Conv2d(1, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 2, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scale = model[1].weight
    steady = quiet(model, optimizer, batch_size=1)
    assert isinstance(model[1], nn.GroupNorm)
    assert model[1].weight is scale
    assert any("GroupNorm(32)" in change.what for change in steady.changes)
    model(torch.randn(1, 1, 8, 8)).sum().backward()
    assert scale.grad is not None


def test_batch_norm_over_few_samples_is_said_and_kept():
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    steady = quiet(model, batch_size=4)
    assert isinstance(model[1], nn.BatchNorm1d)
    assert any("take statistics from 4 items" in text for text in steady.advice)


def test_batch_norm_is_not_judged_without_a_batch_size():
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 2))
    assert not any("BatchNorm" in t or "statistics" in t for t in quiet(model).advice)


def test_a_bias_that_a_norm_takes_away_is_said():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, bias=False))
    assert [text for text in quiet(model).advice if text.startswith("the bias of 0 does nothing")]


def test_without_total_steps_no_rate_is_scheduled():
    model = deep_plain(depth=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    assert quiet(model, optimizer).scheduler is None
    assert "initial_lr" not in optimizer.param_groups[0]


def test_with_total_steps_every_group_warms_up_from_its_own_rate():
    model = deep_plain(depth=2)
    groups = [{"params": model[:2].parameters(), "lr": 1e-4}, {"params": model[2:].parameters()}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    steady = quiet(model, optimizer, total_steps=100)
    first = steady.recipe.schedule.function()(0)
    rates = {round(g["lr"] / g["initial_lr"], 12) for g in optimizer.param_groups}
    assert rates == {round(first, 12)}
    assert 0 < first < 1


def test_a_scheduler_that_is_attached_already_is_refused_before_anything_changes():
    model = deep_plain(depth=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UsageError, match="already attached"):
        quiet(model, optimizer)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert len(optimizer.param_groups) == 1


def test_a_transformer_recipe_makes_weights_directions_and_slows_the_vectors():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Embedding(9, 16), nn.TransformerEncoderLayer(16, 2, 32), nn.Linear(16, 9)
    )
    steady = quiet(model, recipe="transformer")
    plain = dict(model.named_parameters())["2.parametrizations.weight.original"]
    assert plain.square().mean().sqrt().item() == pytest.approx(0.005, rel=1e-4)
    rates = {id(p): g["lr"] for g in steady.optimizer.param_groups for p in g["params"]}
    assert rates[id(plain)] == 1e-2
    assert rates[id(model[2].bias)] == pytest.approx(3e-3)
    tokens = torch.randint(9, (7, 3))
    functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_tied_weights_stay_tied_and_plain():
    model = nn.Sequential(
        nn.Embedding(9, 16), nn.TransformerEncoderLayer(16, 2, 32), nn.Linear(16, 9)
    )
    model[2].weight = model[0].weight
    quiet(model, recipe="transformer")
    assert model[2].weight is model[0].weight


def test_auto_leaves_the_names_in_a_checkpoint_alone():
    model = nn.Sequential(
        nn.Embedding(9, 16), nn.TransformerEncoderLayer(16, 2, 32), nn.Linear(16, 9)
    )
    names = set(model.state_dict())
    quiet(model)
    assert set(model.state_dict()) == names


def test_a_program_gets_schedule_and_clip():
    model = deep_plain(depth=2)
    program = st.Program(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-3),
        batches=[task()],
        loss_fn=lambda model, batch: functional.cross_entropy(model(batch[0]), batch[1]),
        clip=None,
    )
    steady = quiet(program, total_steps=20)
    assert program.scheduler is steady.scheduler
    assert program.clip == steady.recipe.clip.max_norm
    assert st.train(program, steps=20, progress=False).program.step == 20


def test_it_prints_recipe_changes_and_advice(capsys):
    st.stabilise(deep_plain(depth=2), seed=0)
    shown = capsys.readouterr().out
    assert shown.startswith("recipe mlp - weights without")
    assert "\nchanges\n" in shown
    assert "total_steps" in shown


def test_a_recipe_of_your_own_is_applied_as_it_is():
    plan = dataclasses.replace(recipes.mlp(total_steps=50), clip=recipes.rl().clip)
    steady = quiet(deep_plain(depth=2), recipe=plan)
    assert steady.recipe is plan
    assert steady.scheduler is not None


@pytest.mark.parametrize("kind", [torch.optim.LBFGS, torch.optim.Rprop, torch.optim.Adafactor])
def test_optimizers_without_what_a_recipe_sets_keep_their_settings(kind):
    model = deep_plain(depth=2)
    optimizer = kind(model.parameters())
    lr = optimizer.param_groups[0]["lr"]
    quiet(model, optimizer)
    assert optimizer.param_groups[0]["lr"] == lr
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(model.parameters()))


def test_lbfgs_cannot_take_a_second_group_and_says_so():
    model = deep_plain(depth=2)
    with pytest.raises(UsageError, match="one group only"):
        quiet(model, torch.optim.LBFGS(model[2:].parameters()))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"recipe": "resnet"}, "recipe 'resnet'"),
        ({"optimizer": "adam"}, "got str"),
        ({"total_steps": 0}, "total_steps"),
        ({"batch_size": -1}, "batch_size"),
        ({"recipe": recipes.mlp(), "total_steps": 5}, "a Recipe has its total_steps"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        quiet(deep_plain(depth=1), **arguments)


def test_a_scheme_that_does_not_fit_leaves_everything_as_it_was():
    model = deep_plain(depth=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    before = copy.deepcopy(model.state_dict())
    plan = dataclasses.replace(recipes.mlp(), initialisation="fixup")
    with pytest.raises(UsageError, match="residual"):
        quiet(model, optimizer, recipe=plan)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [group["lr"] for group in optimizer.param_groups] == [1.0]


def test_a_lazy_layer_is_refused():
    with pytest.raises(UsageError, match="lazy"):
        quiet(nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2)))
