"""What other libraries are given is held against their own classes where they are installed."""

import dataclasses
import importlib
import json
import warnings

import pytest
import torch

from steadytrain import recipes
from steadytrain.core.errors import UsageError

SINGLE = {
    "cnn": recipes.cnn(total_steps=200, precision="fp32"),
    "cnn sgd": recipes.cnn(total_steps=200, optimizer="sgd", precision="fp32"),
    "finetune": recipes.finetune(total_steps=200, precision="fp32"),
    "mlp": recipes.mlp(total_steps=200, accumulate=4, precision="fp32"),
    "rnn": recipes.rnn(total_steps=200),
    "transformer": recipes.transformer(total_steps=200, precision="fp32"),
    "vit": recipes.vit(total_steps=200, precision="fp32"),
}
EACH = pytest.mark.parametrize("recipe", SINGLE.values(), ids=SINGLE)


def installed(name):
    """The library, or a skip that says so; what it warns of while importing is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            pytest.skip(f"{name} is not installed: pip install {name.partition('.')[0]}")


def one_step(recipe):
    """How far the multiplier moves within a step of the warm-up, where it moves most."""
    return 1.01 / (recipe.schedule.warmup_steps + 1)


def values(config):
    """Every value in a nested configuration."""
    for value in config.values() if isinstance(config, dict) else config:
        if isinstance(value, dict | list):
            yield from values(value)
        else:
            yield value


@EACH
def test_auto_is_never_mixed_with_literals(recipe):
    """The Trainer alone fills "auto" in; DeepSpeed by itself reads it as a string."""
    assert "auto" not in set(values(recipe.to_deepspeed()))


@EACH
def test_deepspeed_json_is_json(recipe):
    config = recipe.to_deepspeed()
    assert json.loads(json.dumps(config)) == config


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_precision_is_never_said_twice(precision):
    recipe = dataclasses.replace(SINGLE["mlp"], precision=precision)
    config, arguments = recipe.to_deepspeed(), recipe.to_training_arguments()
    for name in ("bf16", "fp16"):
        assert config[name]["enabled"] == arguments[name] == (name == precision)
    assert [key for key in recipe.to_lightning() if "precision" in key] == ["precision"]


@EACH
def test_one_clip_and_one_count_of_steps_everywhere(recipe):
    deepspeed, trainer = recipe.to_deepspeed(), recipe.to_lightning()
    arguments = recipe.to_training_arguments()
    assert deepspeed["gradient_clipping"] == arguments["max_grad_norm"]
    assert deepspeed["gradient_clipping"] == trainer["gradient_clip_val"] == recipe.clip.max_norm
    assert arguments["max_steps"] == trainer["max_steps"] == 200
    assert arguments["gradient_accumulation_steps"] == trainer["accumulate_grad_batches"]


def test_no_clip_is_no_clip_everywhere():
    clip = dataclasses.replace(SINGLE["mlp"].clip, name="none")
    recipe = dataclasses.replace(SINGLE["mlp"], clip=clip)
    assert recipe.to_deepspeed()["gradient_clipping"] == 0.0
    assert recipe.to_training_arguments()["max_grad_norm"] == 0.0
    assert "gradient_clip_val" not in recipe.to_lightning()


def test_two_optimizers_are_refused_where_there_is_room_for_one():
    for export in (recipes.gan().to_deepspeed, recipes.gan().to_training_arguments):
        with pytest.raises(UsageError, match="two optimizers"):
            export()


def test_lightning_neither_clips_nor_accumulates_under_manual_optimization():
    assert set(recipes.gan(accumulate=2).to_lightning()) == {"max_steps", "precision"}


def test_plain_adam_is_not_made_adamw_by_deepspeed():
    """DeepSpeed decouples the decay of "Adam" too, unless it is told not to."""
    assert recipes.rl().to_deepspeed()["optimizer"]["params"]["adam_w_mode"] is False


def test_a_schedule_that_deepspeed_lacks_is_refused_with_the_way_out():
    schedule = dataclasses.replace(SINGLE["mlp"].schedule, name="stable-decay")
    recipe = dataclasses.replace(SINGLE["mlp"], schedule=schedule)
    with pytest.raises(UsageError, match="schedule=False"):
        recipe.to_deepspeed()
    assert "scheduler" not in recipe.to_deepspeed(schedule=False)


@EACH
def test_deepspeed_reads_its_configuration(recipe):
    config = installed("deepspeed.runtime.config")
    read = config.DeepSpeedConfig(recipe.to_deepspeed())
    assert read.train_batch_size == recipe.batch_size
    assert read.gradient_clipping == recipe.clip.max_norm
    assert read.optimizer_params["lr"] == recipe.optimizer.lr


@EACH
def test_deepspeed_follows_the_schedule_one_step_late(recipe):
    schedules = installed("deepspeed.runtime.lr_schedules")
    lr = recipe.optimizer.lr
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = recipe.to_deepspeed()["scheduler"]
    theirs = getattr(schedules, scheduler["type"])(optimizer, **scheduler["params"])
    ours = recipe.schedule.function()
    for step in range(220):
        theirs.step()
        assert optimizer.param_groups[0]["lr"] / lr == pytest.approx(
            ours(step), abs=one_step(recipe)
        )


@EACH
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_hugging_face_reads_its_arguments(recipe, precision, tmp_path):
    transformers = installed("transformers")
    plan = dataclasses.replace(recipe, precision=precision)
    arguments = plan.to_training_arguments()
    read = transformers.TrainingArguments(
        output_dir=str(tmp_path), report_to="none", use_cpu=True, **arguments
    )
    assert read.learning_rate == recipe.optimizer.lr
    assert read.bf16 == (precision == "bf16")
    assert read.gradient_accumulation_steps == recipe.accumulate


def test_hugging_face_warms_a_cosine_up_from_above_zero():
    arguments = SINGLE["vit"].to_training_arguments()
    assert arguments["lr_scheduler_kwargs"]["warmup_lr_rate"] == SINGLE["vit"].schedule.function()(
        0
    )


@EACH
def test_hugging_face_follows_the_schedule(recipe):
    optimization = installed("transformers.optimization")
    arguments = recipe.to_training_arguments()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = optimization.get_scheduler(
        arguments["lr_scheduler_type"],
        optimizer,
        arguments["warmup_steps"],
        200,
        arguments.get("lr_scheduler_kwargs"),
    )
    ours = recipe.schedule.function()
    for step in range(200):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(ours(step), abs=one_step(recipe))
        optimizer.step()
        theirs.step()


def test_hugging_face_builds_sgd_with_its_momentum(tmp_path):
    transformers = installed("transformers")
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        report_to="none",
        use_cpu=True,
        **SINGLE["cnn sgd"].to_training_arguments(),
    )
    kind, options = transformers.Trainer.get_optimizer_cls_and_kwargs(arguments)
    assert kind is torch.optim.SGD
    assert (options["momentum"], options["nesterov"]) == (0.9, True)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", [*SINGLE, "gan", "rl"])
def test_lightning_reads_its_arguments(name, precision, tmp_path):
    lightning = installed("lightning")
    recipe = SINGLE.get(name) or getattr(recipes, name)(total_steps=200)
    recipe = dataclasses.replace(recipe, precision=precision)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            accelerator="cpu", logger=False, default_root_dir=tmp_path, **recipe.to_lightning()
        )
    assert trainer.max_steps == (400 if recipe.critic else 200)
    assert trainer.precision == ("bf16-mixed" if precision == "bf16" else "32-true")
