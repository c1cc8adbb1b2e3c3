"""The configurations that are compared: the baseline, the paper's, ours, and another library's."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from steadytrain.blocks.logit_penalty import z_loss
from steadytrain.core.errors import UnknownNameError
from steadytrain.lab.lr.char_gpt import CharGPT, Size, Switches
from steadytrain.optim.robust_clipping import RobustClip
from steadytrain.recipes.plan import Recipe
from steadytrain.recipes.transformers import transformer

MAX_NORM: Final = 1.0
"""Of the gradient: Wortsman et al. 2023."""

PEER: Final = "x_transformers"
"""Compared with where it is installed; no part of the lab needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One configuration of model and training."""

    name: str
    description: str
    switches: Switches = field(default_factory=Switches)
    peer: tuple[str, ...] | None = None
    """Options that are switched on in x-transformers' decoder; None for our model."""
    z_loss: float = 0.0
    """Weight of the squared log-partition of the outputs in the loss."""
    weight_decay: float = 1e-4
    """Share of a decayed weight taken off per step at the peak rate, whatever the rate is."""
    gain_rate: float = 1.0
    """Rate of gains and biases as a share of the matrices' rate."""
    eps: float = 1e-8
    """Of Adam."""
    robust_clip: bool = False
    """Whether norm 1 is the limit only until the run's own level is known."""

    def build(self, vocabulary: int, size: Size) -> nn.Module:
        """The model, initialised from torch's global generator."""
        if self.peer is None:
            return CharGPT(vocabulary, size, self.switches)
        return _peer_model(vocabulary, size, self.peer)

    def loss(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """What is minimised. Shape: inputs and targets [batch, time] -> []."""
        if not (self.z_loss and isinstance(model, CharGPT)):
            return cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        uncapped = model.uncapped(inputs)
        told = cross_entropy(model.capped(uncapped).flatten(0, 1), targets.flatten())
        return told + z_loss(uncapped, weight=self.z_loss)

    def clip(self) -> Callable[[list[nn.Parameter]], object]:
        """What bounds the gradients of one run."""
        if self.robust_clip:
            return RobustClip(warmup_max_norm=MAX_NORM)
        return partial(nn.utils.clip_grad_norm_, max_norm=MAX_NORM)

    def optimizer(self, model: nn.Module, peak_rate: float) -> torch.optim.Optimizer:
        """AdamW at its peak rate: matrices are decayed, gains and biases never are.

        The decay is independent of the rate (Loshchilov & Hutter 2019, as torch's product of
        rate and decay is divided by the rate).
        """
        matrices = [p for p in model.parameters() if p.ndim >= 2]
        gains = [p for p in model.parameters() if p.ndim < 2]
        decay = self.weight_decay / peak_rate
        groups = [
            {"params": matrices, "lr": peak_rate, "weight_decay": decay},
            {"params": gains, "lr": self.gain_rate * peak_rate, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=self.eps, fused=True)


def _peer_model(vocabulary: int, size: Size, options: tuple[str, ...]) -> nn.Module:
    """x-transformers' decoder in our size, with rotary positions over the whole head as ours."""
    from x_transformers import Decoder, TransformerWrapper  # type: ignore[import-not-found]

    head = size.width // size.heads
    layers = Decoder(
        dim=size.width,
        depth=size.layers,
        heads=size.heads,
        attn_dim_head=head,
        rotary_pos_emb=True,
        rotary_emb_dim=head,
        **dict.fromkeys(options, True),
    )
    return TransformerWrapper(
        num_tokens=vocabulary,
        max_seq_len=size.context,
        use_abs_pos_emb=False,
        attn_layers=layers,
    )


def peer_is_installed() -> bool:
    """Whether the configurations of x-transformers can be run."""
    return importlib.util.find_spec(PEER) is not None


BASELINE: Final = "pre-LN"
RECIPE: Final = "recipe"


def _recipe_arm(plan: Recipe) -> Arm:
    """`recipes.transformer` as it stands: its numbers are the plan's, its blocks those it names."""
    return Arm(
        name=RECIPE,
        description="`recipes.transformer`: RMS norm at both ends of each branch, queries and keys "
        "normalised (gains from 1.5), output logits capped at 15, every matrix and each embedding "
        f"scale-free and stored at {plan.stored_rms:g}, no weight decay, gains at "
        f"{plan.vector_ratio:g} of the rate, Adam's eps {plan.optimizer.eps:g}, robust clip.",
        switches=Switches(
            placement="sandwich",
            norm="rms",
            qk_norm=True,
            qk_gain=1.5,
            soft_cap=15.0,
            stored_rms=plan.stored_rms,
        ),
        weight_decay=plan.optimizer.weight_decay,
        gain_rate=plan.vector_ratio,
        eps=plan.optimizer.eps,
        robust_clip=plan.clip.name == "robust",
    )


_OURS: Final = (
    Arm(
        name=BASELINE,
        description="Layer norm before each branch, truncated normal of deviation "
        "1 / sqrt(fan-in), AdamW (0.9, 0.95), decay 1e-4 independent of the rate, clip 1.",
    ),
    Arm(
        name="+ qk-norm",
        description="The same with queries and keys normalised per head.",
        switches=Switches(qk_norm=True),
    ),
    Arm(
        name="+ qk-norm, z-loss",
        description="The same with 1e-4 of the squared log-partition added to the loss.",
        switches=Switches(qk_norm=True),
        z_loss=1e-4,
    ),
    Arm(
        name="+ qk-norm, z-loss, cap, zero outputs",
        description="The same with output logits capped at 15 and the last projection of each "
        "branch starting at zero.",
        switches=Switches(qk_norm=True, soft_cap=15.0, zero_output=True),
        z_loss=1e-4,
    ),
    _recipe_arm(transformer(total_steps=400)),
)

_PEERS: Final = (
    Arm(
        name="x-transformers, qk-norm",
        description="x-transformers' decoder with attn_qk_norm, its own initialisation.",
        peer=("attn_qk_norm",),
    ),
    Arm(
        name="x-transformers, qk-rmsnorm",
        description="x-transformers' decoder with attn_qk_rmsnorm, its own initialisation.",
        peer=("attn_qk_rmsnorm",),
    ),
)


def arms() -> dict[str, Arm]:
    """Every configuration that can be run here, by name, the baseline first."""
    known = (*_OURS, *(_PEERS if peer_is_installed() else ()))
    return {arm.name: arm for arm in known}


def find_arm(name: str) -> Arm:
    """The configuration called `name`.

    Raises:
        UnknownNameError: there is none, or x-transformers is not installed.
    """
    known = arms()
    if name not in known:
        raise UnknownNameError.build("configuration", name, known)
    return known[name]
