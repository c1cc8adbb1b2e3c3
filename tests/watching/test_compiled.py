"""A compiled model trains as compiled without the watch: same bits, same graphs, no recompiles."""

import pytest
import torch
import torch._dynamo
from torch import nn
from torch.nn import functional as F
from watched_runs import equal, everything, seed_all

import steadytrain as st

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # the compiler's own
]

ORDERS = ["watch first", "compile first", "compile the wrapper", "method"]


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.act = nn.Linear(8, 16), nn.LayerNorm(16), nn.ReLU()
        self.drop, self.last = nn.Dropout(0.2), nn.Linear(16, 4)

    def forward(self, x):
        return self.last(self.drop(self.act(self.norm(self.first(x)))))


def train(order, *, watched, backend, steps=12):
    """The state at the end, the number of graphs and of graph breaks, and the watch."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    seed_all()
    plain = Model()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2)
    options = {"backend": backend, "fullgraph": True}
    watch, compiled = None, plain
    if watched and order in ("watch first", "method"):
        watch = st.watch(plain, optimizer, every=3)
    if order == "method":
        plain.compile(**options)
    else:
        compiled = torch.compile(plain, **options)
    if watched and watch is None:
        watch = st.watch(compiled if order == "compile the wrapper" else plain, optimizer, every=3)
    for _ in range(steps):
        loss = F.cross_entropy(compiled(torch.randn(6, 8)), torch.randint(4, (6,)))
        loss.backward()
        if watch:
            watch.clip_grad_norm_(0.5)
            watch.log(loss=loss)
        else:
            nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
    if watch:
        watch.close()
        assert not [f for f in watch.findings() if f.rule == "broken-probe"]
    counters = torch._dynamo.utils.counters
    graphs = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
    return everything([plain], [optimizer]), graphs, watch


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("order", ORDERS)
def test_same_bits_same_graphs(order, backend):
    bare, graphs, _ = train(order, watched=False, backend=backend)
    state, watched_graphs, watch = train(order, watched=True, backend=backend)
    assert graphs == (1, 0)
    assert watched_graphs == graphs
    assert equal(bare, state)
    assert (watch.history.window("grad_norm") > 0).all()
    assert watch.history.series("loss").shape == (12,)


def test_inductor_gives_the_same_bits():
    bare, graphs, _ = train("compile first", watched=False, backend="inductor", steps=4)
    state, watched_graphs, _ = train("compile first", watched=True, backend="inductor", steps=4)
    assert graphs == watched_graphs == (1, 0)
    assert equal(bare, state)


@pytest.mark.parametrize("order", ORDERS)
def test_a_nonfinite_step_compiles_nothing_anew(order):
    graphs = []
    for watched in (False, True):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        seed_all()
        plain = Model()
        optimizer = torch.optim.SGD(plain.parameters(), lr=1e-2)
        compiled = plain
        if order == "method":
            plain.compile(backend="eager")
        else:
            compiled = torch.compile(plain, backend="eager")
        target = compiled if order == "compile the wrapper" else plain
        watch = st.watch(target, optimizer, every=3) if watched else None
        for step in range(6):
            loss = compiled(torch.randn(6, 8)).square().mean() * (float("inf") if step == 2 else 1)
            loss.backward()
            if step != 2:
                optimizer.step()
            else:
                with torch.no_grad():
                    optimizer.step()
                    plain.load_state_dict(Model().state_dict())
            optimizer.zero_grad()
        if watch:
            watch.close()
            assert watch.history.window("grad_num_nonfinite")[2].sum() > 0
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert graphs[0] == graphs[1]
