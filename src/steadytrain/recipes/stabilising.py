"""Apply a recipe to a model that exists: initialise, repair, regroup, schedule, clip; and say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from steadytrain.blocks._changes import Change
from steadytrain.blocks._weights import check_materialized
from steadytrain.blocks.initialization import initialize
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.program import Program
from steadytrain.recipes._directions import turn_to_directions
from steadytrain.recipes._optimizers import (
    build_optimizer,
    check_optimizer,
    laid_over,
    regroup,
    strangers,
)
from steadytrain.recipes._outcome import Stabilised, clip_of
from steadytrain.recipes._repairs import advise, repair
from steadytrain.recipes._trained import has_stepped, sign_of_training
from steadytrain.recipes.adversarial import gan
from steadytrain.recipes.automatic import auto, check_model, width_of
from steadytrain.recipes.convolutional import cnn
from steadytrain.recipes.feed_forward import mlp
from steadytrain.recipes.finetuning import finetune
from steadytrain.recipes.plan import Recipe
from steadytrain.recipes.recurrent import rnn
from steadytrain.recipes.reinforcement import rl
from steadytrain.recipes.transformers import transformer
from steadytrain.recipes.vision_transformers import vit

_NAMED: Final[dict[str, Callable[..., Recipe]]] = {
    "cnn": cnn,
    "finetune": finetune,
    "gan": gan,
    "mlp": mlp,
    "rl": rl,
    "rnn": rnn,
    "transformer": transformer,
    "vit": vit,
}


def stabilise(
    model: nn.Module | Program,
    optimizer: Optimizer | None = None,
    recipe: Recipe | str = "auto",
    *,
    total_steps: int | None = None,
    batch_size: int | None = None,
    pretrained: bool | None = None,
    seed: int | None = None,
    verbose: bool = True,
) -> Stabilised:
    """The model, and its optimizer if given, are as a recipe would have them; prints what changed.

    Untrained weights are initialised anew; trained ones never are. Norms that cannot work are
    replaced. The optimizer stays the same object: what you set is kept, what stands at torch's
    default becomes the recipe's, biases and norms are no longer decayed, parameters of the model
    that are in no group are added, and rates ten times the published one or more are brought
    down together, in the ratio they had.

    Args:
        model: changed in place. A `Program` has model and optimizer, and gets schedule and clip.
        optimizer: of this model alone; one is built if None. Give the part of a model that it
            trains where it trains a part.
        recipe: `"auto"`, the name of a recipe, or a `Recipe`.
        total_steps: optimizer steps to come; a schedule is built for them. Without it, and
            without a `Recipe` of your own, the rates stay constant.
        batch_size: items of one forward pass on one device. Without it, batch norms are not
            judged, and the rate is that of the recipe's usual batch.
        pretrained: whether the weights were trained before; looked for if None. Say it where
            you know: what a narrow network without norms learned in a short time does not show.
        seed: of the initialisation; torch's random numbers as they stand if None.
        verbose: whether to print recipe and changes.

    Raises:
        UsageError: an argument cannot mean what was given, a scheduler is attached to the
            optimizer already, or it has state of weights that were to be initialised anew.
            Nothing is changed then.

    Example:
        >>> import torch, steadytrain as st
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 1))
        >>> x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
        >>> steady = st.stabilise(model, total_steps=100, seed=0, verbose=False)
        >>> losses = []
        >>> for _ in range(100):
        ...     loss = (steady.model(x) - x.sum(dim=1, keepdim=True)).square().mean()
        ...     loss.backward()
        ...     verdict = steady.clip(model.parameters())
        ...     steady.optimizer.step()
        ...     steady.scheduler.step()
        ...     steady.optimizer.zero_grad()
        ...     losses.append(loss.item())
        >>> losses[-1] < losses[0]
        True
    """
    target, optimizer = _parts(model, optimizer)
    plan = _chosen(target, recipe, total_steps, batch_size, pretrained)
    sign = _reason_to_keep(target, optimizer, plan, pretrained)
    size = plan.microbatch_size if batch_size is not None or plan is recipe else None
    advice = list(advise(target, size))
    if optimizer is None:
        optimizer = build_optimizer(plan, target)
        groups = optimizer.param_groups
        changes = [Change(path="optimizer", what="built", why="none was given")]
    else:
        groups, changes = laid_over(optimizer, target, plan)
        advice += strangers(optimizer, target)
    if sign is None:
        changes += initialize(target, plan.initialisation or "auto", seed=seed, verbose=False)
        changes += repair(target, size)
        changes += turn_to_directions(target, plan.stored_rms)
    else:
        advice.append(f"the weights and norms were left as they are: {sign}")
    regroup(optimizer, list(groups))
    scheduled = total_steps is not None or plan is recipe
    if not scheduled:
        advice.append("no schedule was built: give total_steps to have one that warms up")
    done = Stabilised(
        model=target,
        optimizer=optimizer,
        scheduler=LambdaLR(optimizer, plan.schedule.function()) if scheduled else None,
        clip=clip_of(plan.clip),
        recipe=plan,
        changes=tuple(changes),
        advice=tuple(advice),
    )
    if isinstance(model, Program):
        _hand_over(done, model)
    if verbose:
        print(done)
    return done


def _parts(
    model: nn.Module | Program, optimizer: Optimizer | None
) -> tuple[nn.Module, Optimizer | None]:
    """The model and the optimizer, checked.

    Raises:
        UsageError: they cannot be worked on.
    """
    if isinstance(model, Program):
        if optimizer is not None:
            raise UsageError(
                "a Program has its optimizer: found a second one. Pass the program only."
            )
        return _parts(model.model, model.optimizer)
    check_model(model)
    check_materialized(model)
    if optimizer is not None:
        check_optimizer(optimizer)
    return model, optimizer


def _chosen(
    model: nn.Module,
    recipe: Recipe | str,
    total_steps: int | None,
    batch_size: int | None,
    pretrained: bool | None,
) -> Recipe:
    """The recipe that was asked for."""
    if isinstance(recipe, Recipe):
        if total_steps is not None or batch_size is not None:
            msg = "a Recipe has its total_steps and batch_size: found another beside it"
            raise UsageError(f"{msg}. Make the recipe with them.")
        return recipe
    if recipe not in ("auto", *_NAMED):
        raise UnknownNameError.build("recipe", str(recipe), ["auto", *_NAMED])
    sizes: dict[str, Any] = {"total_steps": total_steps, "batch_size": batch_size}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    if recipe == "auto":
        return auto(model, **sizes, pretrained=pretrained)
    width = {"width": width_of(model)} if recipe in ("transformer", "vit") else {}
    return _NAMED[recipe](**sizes, **width)


def _reason_to_keep(
    model: nn.Module, optimizer: Optimizer | None, plan: Recipe, pretrained: bool | None
) -> str | None:
    """Why the weights are not initialised; None if they are to be.

    Raises:
        UsageError: they are to be, and the optimizer remembers gradients of what they were.
    """
    if pretrained is False and has_stepped(optimizer):
        raise UsageError(
            "pretrained=False asks for new weights, and the optimizer remembers gradients of the "
            "old ones: found state in it, expected none. Build the optimizer anew, then call this."
        )
    if plan.initialisation is None:
        return f"the recipe {plan.name!r} leaves them alone"
    if pretrained is not None:
        return "you say they are pretrained" if pretrained else None
    if has_stepped(optimizer):
        return "the optimizer has taken steps; build it anew to begin anew"
    sign = sign_of_training(model)
    return None if sign is None else f"{sign}; pretrained=False initialises them all the same"


def _hand_over(done: Stabilised, program: Program) -> None:
    """The program's own step clips and schedules as the recipe says; a step_fn does its own."""
    if program.step_fn is None:
        program.clip = None if done.recipe.clip.name == "none" else done.recipe.clip.max_norm
        program.scheduler = done.scheduler
