"""The recipe that fits a model, chosen by what is in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict

from torch import nn
from torch.nn.modules.conv import _ConvNd

from steadytrain.blocks._code import mixes_positions, operations
from steadytrain.blocks.initialization import init_for
from steadytrain.core.errors import UsageError
from steadytrain.recipes._starting import PrecisionChoice
from steadytrain.recipes._trained import sign_of_training
from steadytrain.recipes.convolutional import cnn
from steadytrain.recipes.feed_forward import mlp
from steadytrain.recipes.finetuning import finetune
from steadytrain.recipes.plan import Recipe
from steadytrain.recipes.recurrent import rnn
from steadytrain.recipes.transformers import DEFAULT_WIDTH, transformer
from steadytrain.recipes.vision_transformers import vit

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_WEIGHINGS = {"@", "matmul", "bmm", "baddbmm", "einsum"}
"""What adds values up by the weights that a softmax gave."""


class Sizes(TypedDict):
    """What every recipe takes."""

    total_steps: int
    accumulate: int
    batch_size: NotRequired[int]


def auto(
    model: nn.Module,
    *,
    total_steps: int = 10_000,
    batch_size: int | None = None,
    accumulate: int = 1,
    precision: PrecisionChoice = "auto",
    pretrained: bool | None = None,
) -> Recipe:
    """The recipe of the architecture that `model` is, with what told so among its reasons.

    Recurrent layers make it a recurrent network; attention (found in the layers or in the code
    of `forward`) a transformer, over patches of images where a convolution cuts them out;
    convolutions a convolutional network; anything else with weights a perceptron. Weights that
    were trained are fine-tuned, at a tenth of that recipe's rate. Two networks in turns and
    policies look like any other: ask for `recipes.gan()` and `recipes.rl()`. A transformer keeps
    plain weights: ask for `recipes.transformer()` to have them scale-free.

    Args:
        model: read, never run or changed.
        total_steps: optimizer steps of the whole run; the schedule ends there.
        batch_size: items per optimizer step on one device; the recipe's own if None.
        accumulate: microbatches per step.
        precision: `"auto"` takes bf16 where the device has it; recurrent networks stay in fp32.
        pretrained: whether its weights were trained before; looked for if None.

    Raises:
        UsageError: `model` is no module, or has no parameters.

    Example:
        >>> from torch import nn
        >>> from steadytrain import recipes
        >>> recipes.auto(nn.LSTM(8, 16)).name
        'rnn'
        >>> print(recipes.auto(nn.Linear(8, 2)).why["name"])
        weights without recurrence, attention or convolution
    """
    check_model(model)
    sizes: Sizes = {"total_steps": total_steps, "accumulate": accumulate}
    if batch_size is not None:
        sizes["batch_size"] = batch_size
    recipe, reason = _fitting(model, sizes, precision)
    sign = sign_of_training(model) if pretrained is None else "you say so" if pretrained else None
    if sign is not None:
        tenth = recipe.optimizer.lr / 10
        recipe = finetune(**sizes, lr=tenth, precision=precision)
        reason = f"{reason}; pretrained: {sign}"
    recipe = dataclasses.replace(recipe, why={"name": reason, **recipe.why})
    return _with_initialisation(model, recipe)


def _with_initialisation(model: nn.Module, recipe: Recipe) -> Recipe:
    """The recipe with the scheme that reading the model's own code chose."""
    if recipe.initialisation != "auto":
        return recipe
    choice = init_for(model, verbose=False)
    why = {**recipe.why, "initialisation": choice.why}
    return dataclasses.replace(recipe, initialisation=choice.name, why=why)


def check_model(model: object) -> None:
    """Raise unless `model` is a module with parameters.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(model, nn.Module):
        msg = f"model must be a torch.nn.Module, got {type(model).__name__}"
        raise UsageError(f"{msg}: pass the module itself.")
    if not any(True for _ in model.parameters()):
        msg = f"{type(model).__name__} has no parameters, expected at least one"
        raise UsageError(f"{msg}: layers in a plain list or dict are not found; use nn.ModuleList.")


def _fitting(model: nn.Module, sizes: Sizes, precision: PrecisionChoice) -> tuple[Recipe, str]:
    """The recipe of an untrained model's architecture, and what told."""
    recurrent = _first(model, nn.RNNBase, nn.RNNCellBase)
    if recurrent:
        return rnn(**sizes), f"{recurrent} is recurrent"
    attention = next(_attentions(model), None)
    if attention:
        patches = next(_patches(model), None)
        if patches:
            reason = f"{attention} is attention, {patches} cuts images into patches"
            return vit(**sizes, width=width_of(model), precision=precision), reason
        recipe = transformer(**sizes, width=width_of(model), scale_free=False, precision=precision)
        return recipe, f"{attention} is attention"
    convolution = _first(model, _ConvNd)
    if convolution:
        return cnn(**sizes, precision=precision), f"{convolution} is a convolution"
    recipe = mlp(**sizes, precision=precision)
    return recipe, "weights without recurrence, attention or convolution"


def _first(model: nn.Module, *kinds: type[Any]) -> str | None:
    """The first module of one of the kinds, to be named in a reason."""
    found = ((path, one) for path, one in model.named_modules() if isinstance(one, kinds))
    return next((_label(path, one) for path, one in found), None)


def _attentions(model: nn.Module) -> Iterator[str]:
    for path, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention) or _attends(module):
            yield _label(path, module)


def _attends(module: nn.Module) -> bool:
    """Whether the module's own code is an attention; a classifier's softmax alone is none."""
    names = set(operations(type(module)))
    return mixes_positions(module) and bool(names & _WEIGHINGS or names.isdisjoint({"softmax"}))


def _patches(model: nn.Module) -> Iterator[str]:
    for path, module in model.named_modules():
        if not isinstance(module, _CONVOLUTIONS) or module.kernel_size != module.stride:
            continue
        if max(module.kernel_size) > 1:
            yield _label(path, module)


def _linears(module: nn.Module) -> Iterator[nn.Linear]:
    return (one for one in module.modules() if isinstance(one, nn.Linear))


def width_of(model: nn.Module) -> int:
    """The size of the residual stream: what most linear maps read."""
    heads = [one.embed_dim for one in model.modules() if isinstance(one, nn.MultiheadAttention)]
    sizes = heads or [one.in_features for one in _linears(model)]
    return max(set(sizes), key=sizes.count) if sizes else DEFAULT_WIDTH


def _label(path: str, module: nn.Module) -> str:
    kind = type(module).__name__
    return f"{path} ({kind})" if path else kind
