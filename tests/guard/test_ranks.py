"""Several processes: a step that one of them must not take is taken by none."""

import pytest
import torch
from guarded_loops import loss_of, make_batches
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

import steadytrain as st

COUNT = 24


def train(rank, address, folder):
    """One rank of two; the second one alone sees a spike, at batch 12."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    guard = st.Guard(snapshot_every=5).attach(model, optimizer, clip=1.0)
    batches = make_batches(COUNT, seed=rank + 1)
    if rank == 1:
        batches.insert(20, batches[0] * 1e6)
    else:
        batches.insert(20, batches[0])
    for batch in guard.batches(batches):
        with guard.step(batch) as step:
            step.backward(loss_of(model, batch))
    torch.save(
        {
            "weights": [p.detach() for p in model.parameters()],
            "kinds": [event.kind for event in guard.events],
            "reason": guard.events[0].reason,
        },
        f"{folder}/{rank}.pt",
    )
    distributed.destroy_process_group()


@pytest.mark.slow
def test_what_one_rank_must_not_take_none_takes(tmp_path):
    address = f"file://{tmp_path}/meeting"
    multiprocessing.spawn(train, (address, str(tmp_path)), nprocs=2)
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert one["kinds"] == other["kinds"] == ["skip"]
    assert "another rank" in one["reason"]
    assert all(torch.equal(a, b) for a, b in zip(one["weights"], other["weights"], strict=True))


def test_alone_a_process_agrees_with_itself():
    from steadytrain.guard._agree import over_ranks

    assert over_ranks([3, 0, 7], torch.device("cpu")) == [3, 0, 7]
