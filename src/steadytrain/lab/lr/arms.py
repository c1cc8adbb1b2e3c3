"""The configurations that are compared: the baseline, the paper's, ours, and another library's."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from steadytrain.blocks.logit_penalty import z_loss
from steadytrain.core.errors import UnknownNameError
from steadytrain.lab.lr.char_gpt import CharGPT, Size, Switches

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
    clip: float = 1.0
    """Of the total gradient norm."""

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
    Arm(
        name=RECIPE,
        description="RMS norm at both ends of each branch, queries and keys normalised (gains "
        "from 1.5), output logits capped at 15, every matrix and each embedding scale-free and "
        "stored at 0.005 (the output weight twice as large), no weight decay, gains at 0.3 of the rate, Adam's eps 1e-12, clip 1.",
        switches=Switches(
            placement="sandwich",
            norm="rms",
            qk_norm=True,
            qk_gain=1.5,
            soft_cap=15.0,
            stored_rms=0.005,
            head_gain=2.0,
        ),
        weight_decay=0.0,
        gain_rate=0.3,
        eps=1e-12,
    ),
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
