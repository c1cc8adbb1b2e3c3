"""The vocabulary of statistics: nothing is measured that is not declared here.

A statistic is one column family of the `History`: a number per step and site. Its stage says
*when* in the step it is taken, because a gradient norm before and after clipping are two
different facts. NaN in the table means *not measured*; a NaN that was measured is counted in
the `num_nonfinite` statistics and never stored as a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from steadytrain.core.errors import UnknownNameError

SiteKind = Literal["run", "group", "parameter", "module"]
"""What a column stands for: the whole run, an optimizer's parameter group, a parameter path
or a module path. Module sites stand in order of execution."""

Stage = Literal["loop", "forward", "backward", "pre-clip", "post-clip", "pre-update", "post-update"]
Reduction = Literal["sum", "mean", "max", "min", "l2", "same"]
"""How the values of several ranks become one: `l2` is the root of the sum of squares, `same`
says that every rank must hold the same value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """One declared statistic."""

    name: str
    unit: str
    kind: SiteKind
    stage: Stage
    reduction: Reduction
    meaning: str


def _table(*stats: Stat) -> dict[str, Stat]:
    return {stat.name: stat for stat in stats}


def _run(name: str, unit: str, stage: Stage, reduction: Reduction, meaning: str) -> Stat:
    return Stat(name=name, unit=unit, kind="run", stage=stage, reduction=reduction, meaning=meaning)


def _param(name: str, unit: str, stage: Stage, reduction: Reduction, meaning: str) -> Stat:
    return Stat(
        name=name, unit=unit, kind="parameter", stage=stage, reduction=reduction, meaning=meaning
    )


def _module(name: str, unit: str, reduction: Reduction, meaning: str) -> Stat:
    return Stat(
        name=name, unit=unit, kind="module", stage="forward", reduction=reduction, meaning=meaning
    )


STATS: Final[dict[str, Stat]] = _table(
    # the loop
    _run("loss", "loss", "loop", "mean", "The loss as logged; the mean over the microbatches of the step."),
    _run("loss_num_nonfinite", "count", "loop", "sum", "Logged loss values of the step that were NaN or infinite."),
    _run("loss_num_nan", "count", "loop", "sum", "Logged loss values of the step that were NaN."),
    _run("num_losses", "count", "loop", "sum", "Losses that were logged for the step."),
    _run("loss_scale", "ratio", "loop", "same", "The factor of the GradScaler during the step."),
    _run("step_skipped", "0/1", "loop", "max", "1 where the step was attempted but the optimizer did not move."),
    _run("step_seconds", "s", "loop", "max", "Wall time from the end of the previous step to the end of this one."),
    _run("watch_seconds", "s", "loop", "max", "Host time of the step spent inside steadytrain."),
    _run("memory_bytes", "bytes", "loop", "max", "Resident memory of the process, without what is mapped from files where the system tells."),
    _run("device_memory_bytes", "bytes", "loop", "max", "Allocated accelerator memory of the process."),
    _run("training_mode", "share", "forward", "min", "Share of the model's modules that are in training mode."),
    _run("blind_training_calls", "count", "forward", "sum", "Calls of the model since the last step that nothing is learned from and that were made while a batch normalisation was in training mode."),
    _run("batch_num_nonfinite", "count", "forward", "sum", "NaN or infinite elements in the tensors handed to the model."),
    _run("stale_grad_fraction", "share", "backward", "max", "Share of trained parameters that still held a non-zero gradient of a finished step when the next backward began."),
    _run("num_microbatches", "count", "backward", "sum", "Backward passes of the step."),
    _run("validation_loss", "loss", "loop", "mean", "Loss on the validation data."),
    _run("validation_metric", "metric", "loop", "mean", "The metric on the validation data; higher is better."),
    _run("cleared_fraction", "share", "backward", "max", "Share of the step's backward passes after the first that found the gradients of the ones before them cleared."),
    _run("loss_num_logs", "count", "loop", "max", "Logarithms among the operations next to the loss; looked at once."),
    _run("loss_num_exps", "count", "loop", "max", "Exponentials among the operations next to the loss; looked at once."),
    _run("loss_num_roots", "count", "loop", "max", "Roots and norms among the operations next to the loss; looked at once."),
    _run("loss_num_quotients", "count", "loop", "max", "Quotients next to the loss whose divisor depends on a weight; looked at once."),
    _run("loss_num_squashed", "count", "loop", "max", "Losses that take raw outputs and were given a softmax or sigmoid; looked at once."),
    _run("loss_num_unlogged", "count", "loop", "max", "Losses that take log-probabilities and were given something else; looked at once."),
    _run("loss_num_across_batch", "count", "loop", "max", "Losses whose log-probabilities are taken over the batch; looked at once."),
    _run("loss_num_broadcast", "count", "loop", "max", "Comparisons of every prediction with every target next to the loss; looked at once."),
    _run("waiting_backwards", "count", "backward", "max", "Backward passes that reached another optimizer since that one last stepped; the most of any."),
    Stat(name="base_learning_rate", unit="rate", kind="group", stage="pre-update", reduction="same", meaning="Rate that a schedule multiplies for the parameter group, where a schedule said so."),
    Stat(name="learning_rate", unit="rate", kind="group", stage="pre-update", reduction="same", meaning="Learning rate of the parameter group during the step."),
    Stat(name="momentum", unit="share", kind="group", stage="pre-update", reduction="same", meaning="Share of the last direction a step keeps: momentum, or Adam's beta1."),
    # gradients
    _run("grad_norm_total", "norm", "pre-clip", "l2", "L2 norm of all gradients together, unscaled, before clipping."),
    _run("grad_norm_clipped", "norm", "post-clip", "l2", "L2 norm of all gradients together after clipping."),
    _run("clip_coefficient", "ratio", "post-clip", "same", "Factor the clip multiplied the gradients with; 1 where it did not act."),
    _run("max_grad_norm", "norm", "pre-clip", "same", "The clip's threshold on the step."),
    _param("grad_norm", "norm", "pre-clip", "l2", "L2 norm of the gradient, unscaled, before clipping."),
    _param("grad_rms", "rms", "pre-clip", "mean", "Root mean square of the gradient's elements: the norm without the size."),
    _param("grad_max", "value", "pre-clip", "max", "Largest magnitude among the gradient's finite elements."),
    _param("grad_zero_fraction", "share", "pre-clip", "mean", "Share of the gradient's elements that are exactly zero."),
    _param("grad_num_nonfinite", "count", "pre-clip", "sum", "NaN or infinite elements of the gradient; 1 stands for at least one where only the norm was read."),
    # parameters and updates
    _param("in_optimizer", "0/1", "pre-update", "same", "0 for a parameter that requires a gradient but that no watched optimizer holds."),
    _param("param_num_nonfinite_at_rest", "count", "pre-update", "sum", "NaN or infinite elements of the parameter before the update; counted on a step whose gradients are non-finite."),
    _param("param_norm", "norm", "post-update", "l2", "L2 norm of the parameter after the step."),
    _param("param_num_nonfinite", "count", "post-update", "sum", "NaN or infinite elements of the parameter after the step; 1 stands for at least one where only the norm was read."),
    _param("update_norm", "norm", "post-update", "l2", "L2 norm of the step's change of the parameter."),
    _param("update_ratio", "ratio", "post-update", "mean", "update_norm / param_norm; not measured for a parameter that is all zeros."),
    _param("lost_update_fraction", "share", "post-update", "mean", "Share of low-precision elements with a gradient that the step left bit-unchanged."),
    _param("second_moment_rms", "rms", "post-update", "mean", "Root of the mean of Adam's second moment, bias-corrected: the size of gradient it divides by."),
    _param("eps_ratio", "ratio", "post-update", "mean", "Adam's eps over second_moment_rms."),
    _param("coupled_decay", "factor", "pre-update", "same", "Factor with which the weights are added to their gradient."),
    _param("decoupled_decay", "factor", "pre-update", "same", "Factor which, times the learning rate, shrinks the weights in every step."),
    _param("equal_rows_fraction", "share", "post-update", "mean", "Share of a matrix's rows that equal the row before them to the bit."),
    # activations: the module's output
    _module("act_mean", "value", "mean", "Mean of the module's output."),
    _module("act_std", "value", "mean", "Standard deviation of the module's output."),
    _module("act_rms", "rms", "mean", "Root mean square of the module's output."),
    _module("act_max", "value", "max", "Largest magnitude of the module's output."),
    _module("act_zero_fraction", "share", "mean", "Share of the output's elements that are exactly zero."),
    _module("dead_fraction", "share", "min", "Share of units that were zero on every input of the probe window."),
    _module("input_dead_fraction", "share", "min", "The same for the units the module reads, where they come from inside the network."),
    _module("saturated_fraction", "share", "mean", "Share of outputs of a bounded activation in the outer 1% of its range."),
    _module("act_num_nonfinite", "count", "sum", "NaN or infinite elements of the module's output."),
    _module("act_num_nan", "count", "sum", "NaN elements of the module's output, on a step that was looked into."),
    _module("input_num_nonfinite", "count", "sum", "NaN or infinite elements of the module's input."),
    _module("input_max", "value", "max", "Largest magnitude among the finite elements of the module's input, on a step that was looked into."),
    # layers that tell more
    _module("attention_logit_max", "value", "max", "Largest magnitude of the attention logits that are not masked."),
    _module("attention_entropy", "share", "mean", "Entropy of the attention over the largest it could have: 1 looks everywhere, 0 at one place."),
    _module("data_mean", "value", "mean", "Mean of the data the module reads from outside the network."),
    _module("data_rms", "rms", "mean", "Root mean square of that data."),
    _module("data_max", "value", "max", "Largest magnitude of that data."),
    _module("data_whole_fraction", "share", "mean", "Share of that data that is a whole number of two or more."),
    _module("data_column_ratio", "ratio", "max", "Size of the largest column of that data over the smallest."),
    _module("norm_samples", "count", "min", "Numbers of which a batch normalisation took each of its statistics."),
    _module("running_gap", "ratio", "max", "Distance of running from batch statistics, in deviations and in logarithms of them; the median channel's."),
    _module("dropped_fraction", "share", "same", "Probability with which a dropout in training mode drops."),
)  # fmt: skip
"""Every statistic by name, in the order a step produces them."""


def declared(stat: str) -> Stat:
    """The declaration of `stat`.

    Raises:
        UnknownNameError: there is none.
    """
    try:
        return STATS[stat]
    except KeyError:
        raise UnknownNameError.build("statistic", stat, STATS) from None
