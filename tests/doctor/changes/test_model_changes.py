"""Changes of the model and of what the optimizers hold: surgery that keeps names and parameters."""

import math

import pytest
import torch
from changed_programs import applied, final_loss, own_step, regression, trained, zoo_program
from torch import nn
from torch.nn import functional

from steadytrain.doctor.scene import optimizers_of

pytestmark = pytest.mark.filterwarnings("ignore:Seems like `optimizer.step")
"""Torch says so of every copy of a schedule."""


def held(program):
    return {id(p) for o in optimizers_of(program) for g in o.param_groups for p in g["params"]}


def with_model(model, rate=0.05):
    return regression(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=rate))


class Listed(nn.Module):
    """Layers in a plain list."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 16), nn.Tanh()]
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class Masked(nn.Module):
    """Attention by hand in which the first row sees nothing."""

    def __init__(self):
        super().__init__()
        self.key, self.out = nn.Linear(1, 8), nn.Linear(8, 1)

    def forward(self, x):
        keys = self.key(x.unsqueeze(-1))
        scores = keys @ keys.transpose(1, 2)
        hidden = torch.zeros(4, 4, dtype=torch.bool)
        hidden[0] = True
        mixed = scores.masked_fill(hidden, -math.inf).softmax(-1) @ keys
        return self.out(mixed.mean(1))


def deep(depth=12, width=16, activation=nn.Tanh):
    torch.manual_seed(0)
    layers = [nn.Linear(4, width)]
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 1))


def test_layers_in_a_list_are_registered_under_their_name_and_trained():
    changed = applied("register-modules", with_model(Listed()))
    assert isinstance(changed.model.layers, nn.ModuleList)
    assert {id(p) for p in changed.model.parameters()} == held(changed)
    assert applied("register-modules", regression()) is None


def test_what_no_optimizer_holds_joins_the_group_that_a_schedule_knows():
    program = regression()
    program.optimizer = torch.optim.Adam(program.model[0].parameters(), lr=1e-2)
    program.scheduler = torch.optim.lr_scheduler.LambdaLR(program.optimizer, lambda _: 1.0)
    changed = applied("add-params", program)
    assert {id(p) for p in changed.model.parameters()} == held(changed)
    assert final_loss(changed) < final_loss(program)
    assert applied("add-params", regression()) is None


def test_parameters_that_were_replaced_are_found_by_their_shape():
    program = regression()
    program.model[2] = nn.Linear(16, 1)
    changed = applied("rebuild-optimizer", program)
    assert {id(p) for p in changed.model.parameters()} == held(changed)
    assert applied("rebuild-optimizer", regression()) is None


def test_frozen_parameters_are_trained():
    program = regression()
    program.model[0].requires_grad_(False)
    changed = applied("unfreeze", program)
    assert all(p.requires_grad for p in changed.model.parameters())
    assert not program.model[0].weight.requires_grad


def test_a_norm_is_put_behind_a_layer_that_keeps_its_name():
    changed = applied("insert-norms", with_model(deep()))
    assert isinstance(changed.model[1], nn.Linear)
    assert isinstance(changed.model[1].inserted, nn.LayerNorm)
    assert {id(p) for p in changed.model.parameters()} == held(changed)
    assert not hasattr(changed.model[-1], "inserted")


def test_a_network_with_norms_gets_no_more():
    layers = [nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 1)]
    assert applied("insert-norms", with_model(nn.Sequential(*layers))) is None


def test_equal_layers_are_added_to_their_input():
    changed = applied("insert-shortcuts", with_model(deep(), 0.02))
    assert final_loss(changed) < 0.5 * final_loss(with_model(deep(), 0.02))
    assert applied("insert-shortcuts", regression()) is None


def test_a_plain_stack_is_not_initialised_as_a_residual_one():
    model = deep(activation=nn.ReLU)
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1e-3)
    changed = applied("initialise", with_model(model))
    outputs = changed.model(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    assert float(outputs.detach().std()) > 1e-2


def test_wider_layers_begin_as_the_same_function():
    program = with_model(nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 1)))
    changed = applied("wider", program)
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(changed.model(x), program.model(x), atol=1e-6)
    assert changed.model[0].out_features == 16
    assert {id(p) for p in changed.model.parameters()} == held(changed)


def test_batch_norms_hand_their_scale_to_group_norms():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    program = with_model(model)
    changed = applied("group-norm", program)
    assert isinstance(changed.model[1], nn.GroupNorm)
    assert {id(p) for p in changed.model.parameters()} == held(changed)


def test_statistics_begin_anew_and_move():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, momentum=0.0), nn.Linear(8, 1))
    model[1].running_var.fill_(1e6)
    changed = applied("fresh-batchnorm", with_model(model))
    trained(changed, 5)
    assert changed.model[1].momentum == 0.1
    assert float(changed.model[1].running_var.max()) < 100


def test_dropout_written_as_a_function_is_lowered_too():
    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 1)

        def forward(self, x):
            return self.layer(functional.dropout(x, 0.99, training=self.training))

    torch.manual_seed(0)
    program = with_model(Dropping())
    assert final_loss(applied("less-dropout", program)) < 0.5 * final_loss(program)


def test_an_empty_row_of_attention_gives_zeros():
    torch.manual_seed(0)
    program = with_model(Masked())
    changed = applied("safe-masks", program)
    assert all(map(math.isfinite, trained(changed, 5)))
    assert math.isfinite(float(changed.model(torch.randn(2, 4)).detach().sum()))
    assert not math.isfinite(trained(program, 5)[-1])


def test_attention_written_by_hand_looks_at_the_past_only():
    program = zoo_program("gpt").copy()
    for block in program.model.blocks:
        if hasattr(block.inner, "causal"):
            block.inner.causal = False
    changed = applied("causal-attention", program)
    tokens = program.batches[0][:2, :8]
    later = tokens.clone()
    later[:, -1] = (later[:, -1] + 1) % 5
    same = [
        torch.equal(m(tokens)[:, :-1], m(later)[:, :-1]) for m in (changed.model, program.model)
    ]
    assert same == [True, False]


def test_a_graph_that_a_hook_or_a_detach_cut_is_whole():
    class Cut(nn.Sequential):
        def forward(self, x):
            return self[1](self[0](x).detach())

    torch.manual_seed(0)
    program = with_model(Cut(nn.Linear(4, 8), nn.Linear(8, 1)))
    changed = applied("reattach", program)
    before = changed.model[0].weight.detach().clone()
    trained(changed, 2)
    assert not torch.equal(before, changed.model[0].weight)


def test_everything_runs_in_float32_whatever_the_step_casts_to():
    def in_half(model, batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = model(batch[0].bfloat16())
        seen.append(outputs.dtype)
        return functional.mse_loss(outputs.float(), batch[1])

    seen = []
    program = regression(own_step, loss_fn=in_half)
    trained(applied("float32", program), 1)
    assert set(seen[-1:]) == {torch.float32}


def test_low_precision_weights_are_raised_in_place():
    program = regression()
    program.model.bfloat16()
    program.loss_fn = lambda model, batch: functional.mse_loss(
        model(batch[0].bfloat16()).float(), batch[1]
    )
    changed = applied("float32", program)
    assert {p.dtype for p in changed.model.parameters()} == {torch.float32}
    assert {id(p) for p in changed.model.parameters()} == held(changed)
    assert {p.dtype for p in program.model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("name", "radius"), [("spectral-radius-one", 1.0), ("orthogonal-recurrence", 1.0)]
)
def test_a_recurrent_matrix_neither_grows_nor_shrinks(name, radius):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.RNN(1, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, x):
            return self.head(self.cell(x.unsqueeze(-1))[0][:, -1])

    torch.manual_seed(0)
    model = Recurrent()
    nn.init.normal_(model.cell.weight_hh_l0)
    changed = applied(name, with_model(model))
    found = torch.linalg.eigvals(changed.model.cell.weight_hh_l0.detach()).abs().max()
    assert float(found) == pytest.approx(radius, rel=1e-3)


def test_replicas_begin_every_step_alike():
    def drifts(program, batch):
        apart = float(
            (program.model[0].weight - program.extra["twin"][0].weight).detach().abs().max()
        )
        program.extra["apart"].append(apart)
        return own_step(program, batch)

    program = regression(drifts)
    program.extra = {"twin": program.copy().model, "apart": []}
    changed = applied("sync-replicas", program)
    trained(changed, 3)
    assert changed.extra["apart"] == [0.0, 0.0, 0.0]
    assert applied("sync-replicas", regression(own_step)) is None


def test_a_target_network_follows_the_weights_that_are_drawn_anew():
    program = regression(own_step)
    program.extra = {"target": program.copy().model}
    changed = applied("initialise", program)
    before, after = program.model[0].weight, changed.model[0].weight
    assert not torch.equal(before, after)
    assert torch.equal(after, changed.extra["target"][0].weight)


def test_a_second_model_that_no_optimizer_holds_is_found():
    program = regression(own_step)
    program.extra = {"critic": nn.Linear(4, 1)}
    changed = applied("add-params", program)
    assert id(changed.extra["critic"].weight) in held(changed)


def shrunk(factor):
    model = deep(depth=6, activation=nn.ReLU)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return with_model(model)


@pytest.mark.parametrize(
    ("name", "factor", "applies"),
    [
        ("initialise-larger", 0.01, True),
        ("initialise-larger", 30.0, False),
        ("initialise-smaller", 30.0, True),
        ("initialise-smaller", 0.01, False),
        ("initialise-apart", 0.0, True),
        ("initialise-apart", 1.0, False),
    ],
)
def test_weights_are_drawn_anew_where_the_sign_is_there(name, factor, applies):
    assert (applied(name, shrunk(factor)) is not None) is applies


def test_bounded_units_at_their_ends_are_seen():
    layers = [nn.Linear(4, 16), nn.Sigmoid(), nn.Linear(16, 1)]
    program = with_model(nn.Sequential(*layers))
    assert applied("initialise-unsaturated", program) is None
    nn.init.normal_(program.model[0].weight, std=50.0)
    assert applied("initialise-unsaturated", program) is not None
