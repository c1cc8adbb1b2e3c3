"""The divergence term of a VAE is a hundred times heavier than the reconstruction asks for.

## What is wrong
The cheapest way to a small loss is an encoder that says the prior whatever it sees: the latent
numbers are noise, and the decoder draws the mean picture.

## Remedy
Bring the term in slowly, leave it some free bits, or lower its weight.

## Source
Bowman et al. 2016, section 3.1; Lucas et al. 2019 on the weight at which it happens.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """The evidence bound with the factor on its second term."""
    factor = parts.case.pick("factor", (100.0, 200.0))

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        pictures = batch[0].flatten(1)
        drawn, mean, log_variance = model(pictures)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()
        weighed = 0.1 * factor * divergence / pictures.shape[1]
        return functional.mse_loss(drawn, pictures) + weighed

    parts.loss_fn = loss


FAULT = fault(
    __name__,
    __doc__,
    cause="posterior-collapse",
    also=("loss-term-scale",),
    on=("vae",),
    plant=plant,
    sites=lambda _: ("encoder",),
    is_sudden=False,
)
