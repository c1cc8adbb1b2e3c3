"""The vocabulary of root causes: what a person must change, by name.

A finding names what was seen; a cause names what to change. Codes are the family's three letters
and the place in it; names and codes are never reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from steadytrain.core.errors import UnknownNameError

FAMILIES: Final[dict[str, str]] = {
    "DAT": "data and targets",
    "INI": "initialisation and architecture",
    "LOS": "loss and outputs",
    "NUM": "numerical operations",
    "OPT": "optimizer and schedule",
    "PRE": "precision",
    "LOP": "the training loop",
    "DST": "ranks and hardware",
    "GEN": "not an instability, but people ask",
}
"""What each family of causes is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseName:
    """One word of the vocabulary."""

    name: str
    code: str
    family: str
    meaning: str


_MEANINGS: Final[dict[str, dict[str, str]]] = {
    "DAT": {
        "nonfinite-input": "A batch holds NaN or infinite values before the model sees it.",
        "bad-batch": "One batch among good ones is corrupt, mislabelled or extreme.",
        "data-not-normalized": "Features lie far from unit scale, or on very different scales.",
        "target-not-normalized": "Regression targets are so large or small that the loss has an extreme scale.",
        "label-noise": "Many labels are wrong: training stalls or memorises them, and validation does not follow.",
        "label-misaligned": "Labels belong to other inputs than they stand beside: shifted or shuffled apart.",
        "label-encoding": "Labels have the wrong form: off by one, out of range, wrong type, one-hot where an index is meant.",
        "class-imbalance": "A class is so rare that never predicting it costs nothing.",
        "data-not-shuffled": "Batches come ordered by class or by time.",
        "target-leak": "The input contains the answer, so the loss is too good to be true.",
        "infeasible-target": "No output of the model can meet the target.",
        "token-ids-as-numbers": "Indices of a vocabulary are fed as if they were quantities.",
        "split-statistics": "Normalisation uses statistics of the validation data, or differs between the splits.",
        "duplicate-batches": "The same batch comes again and again.",
    },
    "INI": {
        "init-too-large": "Weights begin so large that signals or gradients grow with every layer.",
        "init-too-small": "Weights begin so small that signals or gradients shrink with every layer.",
        "symmetric-init": "Units begin identical and so stay identical.",
        "vanishing-gradient": "Depth times the activation's slope leaves early layers without a gradient.",
        "exploding-gradient": "Depth times gain multiplies the gradient at every layer.",
        "saturated-activation": "Sigmoid, tanh or softmax units sit at the flat ends of their range.",
        "dying-relu": "Units are zero on every input and have no gradient that could bring them back.",
        "missing-residual": "A plain stack is too deep to train without shortcuts.",
        "residual-growth": "The sum along the shortcuts grows from block to block.",
        "missing-norm": "A network of this depth needs normalisation and has none.",
        "post-norm-depth": "A deep stack that normalises after each sum runs at its full rate from the start.",
        "batchnorm-small-batch": "Batch normalisation takes its statistics from too few samples.",
        "batchnorm-running-stats": "Running statistics are stale, frozen, non-finite or those of other data.",
        "recurrent-spectral-radius": "The recurrent matrix shrinks or multiplies the state at every time step.",
        "attention-logits-too-large": "Attention scores are unscaled or growing, so each query sees one key only.",
        "dropout-too-high": "Too little of the signal survives dropout, or a share to keep was taken for one to drop.",
        "weight-tying-broken": "Weights that should be one tensor have become two.",
        "params-not-registered": "Modules stand in a plain list or dict, where nobody finds their parameters.",
        "wrong-axis": "A norm, softmax or batch runs over the wrong dimension.",
        "router-collapse": "A router sends nearly everything to few experts and the others starve.",
        "posterior-collapse": "The decoder ignores the latent variable.",
        "gan-discriminator-dominates": "The discriminator is so sure that the generator gets no gradient.",
    },
    "LOS": {
        "double-softmax": "Probabilities are given where the loss expects logits.",
        "loss-input-mismatch": "The loss expects another form of output than it is given.",
        "output-activation-mismatch": "The last activation cannot reach the range of the targets.",
        "loss-sign": "The loss, or one of its terms, is maximised.",
        "loss-reduction": "A sum stands where a mean is meant, or the reverse.",
        "loss-term-scale": "One term of the loss drowns the others.",
        "shape-broadcast": "Shapes that do not match are broadcast silently instead of refused.",
        "padding-in-loss": "Padded positions are learned like real ones.",
        "reward-scale": "Rewards or advantages have an extreme scale.",
    },
    "NUM": {
        "log-of-zero": "A logarithm is taken of a value that reaches zero.",
        "sqrt-zero-grad": "The derivative of a root or norm is infinite where its argument is zero.",
        "div-by-zero": "A norm, deviation or count that reaches zero is divided by.",
        "exp-overflow": "An exponential exceeds the range of the number format.",
        "fully-masked-row": "An attention row has nothing left to attend to.",
    },
    "OPT": {
        "lr-too-high": "The learning rate takes steps longer than the loss surface allows.",
        "lr-too-low": "The learning rate takes steps too short to get anywhere.",
        "lr-schedule-wrong": "The schedule decays at once, rises again, or counts batches as epochs.",
        "missing-warmup": "The first steps run at the full rate, before the optimizer knows the gradients' scale.",
        "clip-too-tight": "The clipping threshold, not the gradient, sets the length of the step.",
        "missing-grad-clip": "Rare large gradients reach the weights unchecked.",
        "weight-decay-too-high": "Decay pulls the weights to zero faster than the gradient builds them.",
        "weight-decay-misapplied": "Norms, biases or scales are decayed.",
        "adam-eps": "Epsilon is too small against tiny gradients, or so large that it stops the steps.",
        "adam-beta2-too-high": "The second moment is stale after the gradients changed their scale.",
        "momentum-too-high": "Momentum carries the weights past where the gradient turned.",
        "params-not-in-optimizer": "Parameters that should be trained are in no optimizer.",
        "stale-optimizer-params": "The optimizer holds tensors that the model no longer uses.",
        "frozen-params": "Parameters are frozen by accident.",
    },
    "PRE": {
        "fp16-overflow": "A value exceeds 65,504, the largest of half precision.",
        "fp16-underflow": "Gradients fall below the smallest half-precision number and become zero.",
        "unscale-order": "Gradients are clipped or inspected while the loss scale is still in them.",
        "low-precision-update-lost": "Updates below half a unit in the last place are rounded away.",
        "loss-scale-collapse": "The loss scale falls and falls because every step overflows.",
    },
    "LOP": {
        "missing-zero-grad": "Gradients of earlier steps are never cleared and add up.",
        "missing-optimizer-step": "The optimizer's step is never taken, or far too rarely.",
        "step-order": "Zeroing, backward, step and schedule run in the wrong order.",
        "accum-not-divided": "Accumulated gradients are summed without dividing by their number.",
        "detached-graph": "A part of the model is cut off from the loss and gets no gradient.",
        "graph-retained": "Old graphs are kept, so memory grows from step to step.",
        "eval-mode-in-training": "The model trains in evaluation mode.",
        "train-mode-in-eval": "The model is evaluated in training mode.",
    },
    "DST": {
        "rank-desync": "Replicas drift apart: something that must be the same on every rank is not.",
        "rank-data-duplicate": "Every rank reads the same shard of the data.",
        "hardware-fault": "A result does not recur when the same step is run again.",
    },
    "GEN": {
        "overfitting": "The model memorises its training data.",
        "underfitting-capacity": "The model is too small for the task.",
        "healthy": "Nothing that a person must change.",
    },
}

CAUSES: Final[dict[str, CauseName]] = {
    name: CauseName(name=name, code=f"{family}{number:03}", family=family, meaning=meaning)
    for family, meanings in _MEANINGS.items()
    for number, (name, meaning) in enumerate(meanings.items(), start=1)
}
"""Every root cause by name, in the order of the families."""

UNKNOWN: Final = "unknown"
"""The name of a cause that is in no family: something is wrong, nobody knows what."""


def cause_named(name: str) -> CauseName:
    """The cause of that name.

    Raises:
        UnknownNameError: there is none.
    """
    try:
        return CAUSES[name]
    except KeyError:
        raise UnknownNameError.build("cause", name, CAUSES) from None
