import dataclasses
import doctest
import importlib
import inspect
import json
import pkgutil

import pytest

from steadytrain import blocks, recipes
from steadytrain.core.errors import UsageError
from steadytrain.recipes import Recipe

NAMED = {
    "cnn": recipes.cnn,
    "finetune": recipes.finetune,
    "gan": recipes.gan,
    "mlp": recipes.mlp,
    "rl": recipes.rl,
    "rnn": recipes.rnn,
    "transformer": recipes.transformer,
    "vit": recipes.vit,
}


@pytest.fixture(params=NAMED)
def name(request):
    return request.param


def test_every_recipe_is_plain_data_that_json_gives_back(name):
    recipe = NAMED[name]()
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_every_recipe_prints_each_decision_with_its_reason(name):
    recipe = NAMED[name]()
    text = " ".join(str(recipe).split())
    assert text.startswith(f"recipe {name} ")
    for field in ("initialisation", "norm", "optimizer", "schedule", "clip", "precision"):
        assert recipe.why[field] in text


def test_every_reason_is_of_something_that_is_printed(name):
    recipe = NAMED[name]()
    lines = {line.split()[0] for line in str(recipe).splitlines() if line[2:3].strip()}
    assert set(recipe.why) <= lines


def test_every_advised_block_exists(name):
    assert set(NAMED[name]().blocks) <= set(dir(blocks))


def test_its_schedule_begins_above_zero_and_ends_where_it_says(name):
    schedule = NAMED[name](total_steps=200).schedule
    multiplier = schedule.function()
    assert 0.0 < multiplier(0) <= 1.0
    assert multiplier(200) == multiplier(10_000) == schedule.min_ratio


def test_a_warm_up_starts_below_the_peak(name):
    schedule = NAMED[name](total_steps=200).schedule
    if schedule.warmup_steps:
        assert schedule.function()(0) < 1.0


def test_a_run_of_one_step_has_a_schedule(name):
    assert NAMED[name](total_steps=1).schedule.function()(0) > 0.0


def test_a_smaller_batch_takes_a_smaller_rate():
    assert recipes.cnn(batch_size=32).optimizer.lr < recipes.cnn(batch_size=512).optimizer.lr
    sgd = [recipes.cnn(batch_size=size, optimizer="sgd").optimizer.lr for size in (64, 128)]
    assert sgd[1] == 2 * sgd[0]


def test_a_wider_transformer_takes_a_smaller_rate():
    rates = [recipes.transformer(width=width).optimizer.lr for width in (8, 64, 512, 4096)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] <= 1e-2


def test_small_microbatches_take_group_norm():
    assert recipes.cnn(batch_size=16).norm.startswith("batch")
    assert recipes.cnn(batch_size=15).norm.startswith("group")
    assert recipes.cnn(batch_size=16, accumulate=2).norm.startswith("group")


def test_fine_tuning_leaves_the_weights_alone():
    assert recipes.finetune().initialisation is None


def test_a_batch_that_its_microbatches_do_not_divide_is_refused():
    with pytest.raises(UsageError, match="accumulate must divide batch_size, got 5 for 64: 4"):
        recipes.rnn(batch_size=64, accumulate=5)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, float("nan"), "10"])
def test_a_run_that_is_no_number_of_steps_is_refused(name, value):
    with pytest.raises(UsageError, match="total_steps"):
        NAMED[name](total_steps=value)


@pytest.mark.parametrize("value", [0, -8, 2.5, True])
def test_a_batch_that_is_no_number_of_items_is_refused(name, value):
    with pytest.raises(UsageError, match="batch_size"):
        NAMED[name](batch_size=value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr", 0.0),
        ("lr", -1e-3),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("eps", 0.0),
        ("weight_decay", -0.1),
        ("betas", (0.9, 1.0)),
        ("betas", (0.9,)),
        ("name", "adamm"),
    ],
)
def test_optimizer_settings_that_cannot_be_are_refused(field, value):
    with pytest.raises(UsageError):
        dataclasses.replace(recipes.mlp().optimizer, **{field: value})


def test_a_warm_up_longer_than_the_training_is_refused():
    with pytest.raises(UsageError, match=r"warmup_steps|total_steps"):
        dataclasses.replace(recipes.mlp().schedule, warmup_steps=300, total_steps=200)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_clip_without_length_is_refused(value):
    with pytest.raises(UsageError, match="max_norm"):
        dataclasses.replace(recipes.mlp().clip, max_norm=value)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="fp16"):
        recipes.mlp(precision="half")


@pytest.mark.parametrize("info", list(pkgutil.iter_modules(recipes.__path__)), ids=lambda i: i.name)
def test_its_documented_examples_run(info):
    module = importlib.import_module(f"steadytrain.recipes.{info.name}")
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_every_public_name_shows_an_example():
    shown = [name for name in dir(recipes) if ">>>" in inspect.getdoc(getattr(recipes, name))]
    assert shown == dir(recipes)
