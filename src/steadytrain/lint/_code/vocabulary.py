"""Which makers and which names stand for which kind of object."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from steadytrain.lint._code.scopes import ClassInfo
from steadytrain.lint._code.values import Value


@dataclass(slots=True, frozen=True, eq=False)
class Kind:
    """What an object is."""

    name: str
    """optimizer, scheduler, scaler, module, loader, loss, accelerator, fabric, engine."""
    maker: str = ""
    """Qualified name of what made it, where that is known."""
    call: Value | None = None
    """The call that made it."""
    cls: ClassInfo | None = None
    """Its class, where that is in the file."""
    guessed: bool = False
    """Whether only its name says so."""


_MAKERS: Final = (
    (r"torch\.optim\.(lr_scheduler\.[A-Z]\w*|swa_utils\.SWALR)", "scheduler"),
    (r"torch\.optim\.swa_utils\.AveragedModel", "wrapper"),
    (r"(transformers|diffusers)\.(optimization\.)?get_\w*sched\w*", "scheduler"),
    (r"torch\.optim\.(\w+\.)?[A-Z]\w*", "optimizer"),
    (r"(bitsandbytes|bnb|apex|transformers|timm|lion_pytorch|torch_optimizer|deepspeed)\..*"
     r"(Adam|SGD|Lion|Lamb|LAMB|Adafactor|RMSprop)\w*", "optimizer"),
    (r".*\bGradScaler", "scaler"),
    (r"torch\.nn\.\w*Loss", "loss"),
    (r"torch\.nn\.(parallel\.)?(DistributedDataParallel|DataParallel)", "wrapper"),
    (r"torch\.distributed\.fsdp\..*FullyShardedDataParallel", "wrapper"),
    (r"torch\.compile|torch\.jit\.(script|trace)|copy\.(deep)?copy", "wrapper"),
    (r"torch\.nn\.[A-Z]\w*", "module"),
    (r"torchvision\.models\.\w+(\.\w+)?|timm\.(models\.)?create_model", "module"),
    (r"transformers\.\w*(Model|For[A-Z])\w*(\.from_(pretrained|config))?", "module"),
    (r"torch\.utils\.data\.DataLoader|torch_geometric\.loader\.\w+", "loader"),
    (r"accelerate\.(accelerator\.)?Accelerator", "accelerator"),
    (r"lightning\.Fabric", "fabric"),
)  # fmt: skip
NO_MODULE: Final = {"torch.nn.Parameter", "torch.nn.ParameterList", "torch.nn.ParameterDict"}
_BASES: Final = (
    (r"torch\.nn\.[A-Z]\w*|.*\b(PreTrainedModel|ModelMixin|\w*Module|Module\w*)", "module"),
    (r"torch\.optim\.(\w+\.)?[A-Z]\w*|.*\bOptimizer", "optimizer"),
)
SAME: Final = {"to", "cuda", "cpu", "eval", "train", "half", "float", "double", "bfloat16",
                "requires_grad_", "apply", "compile"}  # fmt: skip
"""Methods of a module that give the module back."""

_GUESSES: Final = (
    ("scheduler", r"(\w*_)?(sched|scheduler|lr_sched\w*|lrs|lr_scheduler)s?(_\w+)?|\w*[sS]cheduler"),
    ("scaler", r"(grad_?|amp_?|loss_?)?scaler"),
    ("optimizer", r"(\w*_)?(optim|optimi[sz]er|opt|optims)s?(_?\w{1,8})?|\w*[oO]ptimi[sz]er\w{0,3}"),
    ("loss", r"(\w*_)?(criterion|loss_fn|loss_func|loss_function|lossfn)(_\w+)?|criterion\w*"),
    ("loader", r"\w*(loader|dataloader|dataiter)\w*|\w*_dl|dl"),
    ("accelerator", r"accelerator"),
    ("fabric", r"fabric"),
    ("module", r"(\w*_)?(model|net|network|generator|discriminator|critic|actor|policy|encoder|"
               r"decoder|backbone|classifier|student|agent|unet|vae|gpt|transformer)(_?\w{1,3})?|net[A-Z]"),
)  # fmt: skip
_GUESS: Final = [(name, re.compile(pattern)) for name, pattern in _GUESSES]
MADE: Final = [(re.compile(pattern), name) for pattern, name in _MAKERS]
BASE: Final = [(re.compile(pattern), name) for pattern, name in _BASES]


def guess(name: str) -> Kind | None:
    """What an object is by its last name alone."""
    return _guessed(name.rpartition(".")[2].partition("[")[0])


@lru_cache(maxsize=4096)
def _guessed(last: str) -> Kind | None:
    for kind, pattern in _GUESS:
        if pattern.fullmatch(last):
            return Kind(kind, guessed=True)
    return None
