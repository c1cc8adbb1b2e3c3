import math
import os
import socket
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch import nn

from steadytrain.optim import (
    RobustClip,
    UpdateClip,
    agc_,
    clip_grad_norm_,
    clip_grad_norm_per_tensor_,
    clip_grad_value_,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not dist.is_available(), reason="torch was built without distributed"),
]


def shard(tensor, mesh, placement):
    from torch.distributed.tensor import distribute_tensor

    return tensor if mesh is None else distribute_tensor(tensor, mesh, [placement])


def whole(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def sharded_parameters(size=1.0, dtype=torch.float32):
    """Parameters of two meshes, one with nothing on the second rank, and a plain one."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard

    one, other = (init_device_mesh("cpu", (2,), mesh_dim_names=(name,)) for name in ("dp", "tp"))
    layout = [
        (one, Shard(0), (5, 3)),
        (other, Shard(1), (4, 4)),
        (other, Replicate(), (3,)),
        (one, Shard(0), (1,)),
        (None, None, (2, 2)),
    ]
    torch.manual_seed(0)
    found = []
    for mesh, placement, shape in layout:
        weight = nn.Parameter(shard(torch.randn(shape, dtype=dtype), mesh, placement))
        weight.grad = shard(torch.randn(shape, dtype=dtype) * size, mesh, placement)
        found.append(weight)
    return found


def gathered(parameters):
    found = [nn.Parameter(whole(one.detach()).clone()) for one in parameters]
    for one, sharded in zip(found, parameters, strict=True):
        one.grad = whole(sharded.grad).clone()
    return found


def same(clip, **options):
    """Clipping shards gives what clipping the whole gradients gives."""
    ours = sharded_parameters(**options)
    theirs = gathered(ours)
    torch.testing.assert_close(clip(ours), clip(theirs))
    torch.testing.assert_close([whole(one.grad) for one in ours], [one.grad for one in theirs])


def check_norms():
    for norm_type in (1.0, 2.0, math.inf):
        same(partial(clip_grad_norm_, max_norm=1.0, norm_type=norm_type))
    same(partial(clip_grad_norm_, max_norm=1.0), size=1e20)
    same(partial(clip_grad_norm_, max_norm=1.0), dtype=torch.bfloat16)


def check_the_rest():
    same(partial(clip_grad_norm_per_tensor_, max_norm=0.5))
    same(partial(clip_grad_value_, clip_value=0.5))
    same(partial(agc_, clip_factor=0.01))
    same(lambda parameters: RobustClip()(parameters).coefficient)


def check_a_nan_on_one_rank_is_refused_on_all():
    parameters = sharded_parameters()
    if dist.get_rank() == 1:
        parameters[1].grad.to_local()[0] = math.nan
    assert not torch.isfinite(clip_grad_norm_(parameters, 1.0, math.inf))
    assert RobustClip()(parameters).kind == "refused"
    assert all(one.grad is None for one in parameters)


def check_update_clipping():
    ours = sharded_parameters()
    theirs = gathered(ours)
    for parameters in (ours, theirs):
        for one in parameters:
            optimizer = torch.optim.AdamW([one], lr=0.1, betas=(0.9, 0.99), foreach=False)
            UpdateClip(optimizer)
            optimizer.step()
            one.grad = one.grad * 50
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(whole(one.detach()), other.detach(), rtol=1e-4, atol=1e-5)


def one_rank(rank, port, check):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    try:
        check()
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize(
    "check",
    [
        check_norms,
        check_the_rest,
        check_a_nan_on_one_rank_is_refused_on_all,
        check_update_clipping,
    ],
)
def test_two_ranks_clip_shards_as_one_would_clip_the_whole(check):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(one_rank, (port, check), 2)
