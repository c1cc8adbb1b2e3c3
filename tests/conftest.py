"""A warning that torch gives once per process fails whichever test comes first: here, every one."""

import torch

torch.set_warn_always(True)
