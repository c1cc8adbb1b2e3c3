"""What the checks of the architecture say: norms, dropout, attention, axes, tied weights."""

import math

import pytest
import torch
from preflight_programs import answer, classifier, cross_entropy
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import steadytrain as st


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.5, "passed"), (0.74, "passed"), (0.75, "failed")]
)
def test_dropout_is_judged_by_what_it_drops(share, verdict):
    assert answer(classifier(tail=(nn.Dropout(share),)), "crowding-dropout").verdict == verdict


def test_dropout_within_a_recurrent_layer_is_seen():
    program = classifier()
    program.model.add_module("cell", nn.LSTM(4, 4, num_layers=2, dropout=0.9))
    assert answer(program, "crowding-dropout").findings[0].site == "cell"
    program.model.cell = nn.LSTM(4, 4, num_layers=1)
    assert answer(program, "crowding-dropout").verdict == "not-applicable"


@pytest.mark.parametrize(("size", "verdict"), [(2, "failed"), (4, "failed"), (5, "passed")])
def test_batch_norm_needs_values(size, verdict):
    program = classifier(size=size, tail=(nn.BatchNorm1d(3),))
    said = answer(program, "batchnorm-samples")
    assert (said.verdict, said.number) == (verdict, size)


def test_positions_count_as_values():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    program = classifier()
    program.model, program.optimizer = model, torch.optim.Adam(model.parameters())
    for size, verdict, number in ((3, "passed", 108), (2, "failed", 2)):
        program.batches = [(torch.randn(size, 1, 8, 8), torch.arange(size))] * 2
        said = answer(program, "batchnorm-samples")
        assert (said.verdict, said.number) == (verdict, number)


def test_a_last_batch_of_one_sample_is_seen_before_it_raises():
    program = classifier(tail=(nn.BatchNorm1d(3),))
    data = TensorDataset(torch.randn(25, 4), torch.randint(3, (25,)))
    program.batches = DataLoader(data, batch_size=8)
    assert answer(program, "batchnorm-samples").verdict == "failed"
    program.batches = DataLoader(data, batch_size=8, drop_last=True)
    assert answer(program, "batchnorm-samples").verdict == "passed"


@pytest.mark.parametrize(
    ("momentum", "verdict"),
    [(0.1, "passed"), (0.01, "passed"), (None, "passed"), (1e-4, "failed"), (0.99, "failed")],
)
def test_the_momentum_of_running_statistics_is_bounded(momentum, verdict):
    program = classifier(tail=(nn.BatchNorm1d(3, momentum=momentum),))
    assert answer(program, "batchnorm-running-statistics").verdict == verdict


@pytest.mark.parametrize(("variance", "verdict"), [(0.05, "passed"), (1e-4, "failed")])
def test_fixed_statistics_of_other_data_are_seen(variance, verdict):
    program = classifier(tail=(nn.BatchNorm1d(3),))
    program.model[3].eval()
    program.model[3].running_var.fill_(variance)
    assert answer(program, "batchnorm-running-statistics").verdict == verdict


def test_running_statistics_that_are_not_finite_are_seen():
    program = classifier(tail=(nn.BatchNorm1d(3),))
    program.model[3].running_mean[1] = math.nan
    assert answer(program, "batchnorm-running-statistics").verdict == "failed"


class Attention(nn.Module):
    """One head over [n, time, 8]; by hand or by torch, with a factor on the scores."""

    def __init__(self, *, factor=1.0, by_hand=False, blind=False):
        super().__init__()
        self.qkv, self.head = nn.Linear(8, 24), nn.Linear(8, 3)
        self.factor, self.by_hand, self.blind = factor, by_hand, blind

    def forward(self, x):
        query, key, value = self.qkv(x).chunk(3, -1)
        scale = self.factor / math.sqrt(8)
        hidden = torch.zeros(x.shape[0], 1, x.shape[1], dtype=torch.bool)
        if self.blind:
            hidden[-1] = x[-1, 0, 0] > 0
        if not self.by_hand:
            mixed = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=~hidden if self.blind else None, scale=scale
            )
        else:
            scores = (query @ key.transpose(-1, -2) * scale).masked_fill(hidden, -torch.inf)
            mixed = scores.softmax(-1) @ value
        return self.head(mixed.mean(1))


def attending(first_of_last=-1.0, **options):
    torch.manual_seed(0)
    model = Attention(**options)
    batches = []
    for _ in range(6):
        tokens = torch.randn(8, 6, 8)
        tokens[-1, 0, 0] = first_of_last
        batches.append((tokens, torch.randint(3, (8,))))
    return st.Program(
        model=model,
        optimizer=torch.optim.Adam(model.parameters()),
        batches=batches,
        loss_fn=cross_entropy,
    )


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "passed"), (10.0, "passed"), (200.0, "failed")]
)
def test_attention_is_judged_by_the_spread_of_its_scores(by_hand, factor, verdict):
    said = answer(attending(factor=factor, by_hand=by_hand), "sharp-attention")
    assert said.verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "passed"), (60.0, "failed")])
def test_torchs_own_attention_layer_is_judged_too(factor, verdict):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    with torch.no_grad():
        layer.self_attn.in_proj_weight[:16] *= factor
    program = attending()
    program.model = nn.Sequential(layer, nn.Flatten(), nn.Linear(48, 3))
    program.optimizer = torch.optim.Adam(program.model.parameters())
    assert answer(program, "sharp-attention").verdict == verdict


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_row_with_nothing_left_is_found_in_a_later_batch(by_hand):
    program = attending(by_hand=by_hand, blind=True)
    assert answer(program, "empty-mask-rows").verdict == "passed"
    program.batches[4][0][-1, 0, 0] = 1.0
    said = answer(program, "empty-mask-rows")
    assert said.verdict == "failed"
    assert said.findings[0].evidence["batch"] == 4


def softmaxed(dim):
    def loss_fn(model, batch):
        return functional.nll_loss(model(batch[0]).log_softmax(dim=dim), batch[1])

    return classifier(loss_fn=loss_fn)


@pytest.mark.parametrize(("dim", "verdict"), [(-1, "passed"), (1, "passed"), (0, "failed")])
def test_a_softmax_over_the_batch_is_seen(dim, verdict):
    assert answer(softmaxed(dim), "softmax-over-batch").verdict == verdict


def test_a_softmax_of_samples_against_samples_is_contrast():
    def loss_fn(model, batch):
        out = model(batch[0])
        return -(out @ out.T).log_softmax(dim=0).diagonal().mean()

    assert answer(classifier(loss_fn=loss_fn), "softmax-over-batch").verdict != "failed"


class Reader(nn.Module):
    def __init__(self, *, batch_first, transposed=False):
        super().__init__()
        self.token, self.cell = nn.Embedding(7, 8), nn.LSTM(8, 8, batch_first=batch_first)
        self.head, self.transposed = nn.Linear(8, 7), transposed

    def forward(self, tokens):
        x = self.token(tokens)
        x = x.transpose(0, 1) if self.transposed else x
        out = self.cell(x)[0]
        return self.head(out.transpose(0, 1) if self.transposed else out)


def reading(**options):
    torch.manual_seed(0)
    model = Reader(**options)

    def loss_fn(model, batch):
        logits = model(batch[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    return st.Program(
        model=model,
        optimizer=torch.optim.Adam(model.parameters()),
        batches=[torch.randint(7, (5, 12)) for _ in range(3)],
        loss_fn=loss_fn,
    )


def test_a_recurrent_layer_over_the_samples_is_seen():
    said = answer(reading(batch_first=False), "recurrent-over-batch")
    assert said.verdict == "failed"
    assert said.findings[0].site == "cell"


def test_time_first_is_right_where_the_data_are_transposed():
    assert (
        answer(reading(batch_first=False, transposed=True), "recurrent-over-batch").verdict
        == "passed"
    )
    assert answer(reading(batch_first=True), "recurrent-over-batch").verdict == "not-applicable"


@pytest.mark.parametrize("how", ["tied", "cloned", "its own"])
def test_equal_embedding_and_head_must_share_memory(how):
    program = reading(batch_first=True)
    model = program.model
    if how == "tied":
        model.head.weight = model.token.weight
    elif how == "cloned":
        model.head.weight = nn.Parameter(model.token.weight.detach().clone())
    assert (answer(program, "broken-weight-tying").verdict == "failed") == (how == "cloned")


def test_a_configuration_that_ties_is_taken_at_its_word():
    program = reading(batch_first=True)
    model = program.model
    model.config = type("Config", (), {"tie_word_embeddings": True})()
    model.get_input_embeddings, model.get_output_embeddings = (
        lambda: model.token,
        lambda: model.head,
    )
    assert answer(program, "broken-weight-tying").findings[0].site == "head"


@pytest.mark.parametrize(
    ("kind", "factor", "verdict"),
    [
        ("relu", 1.0, "passed"),
        ("relu", 1.2, "passed"),
        ("relu", 1.9, "failed"),
        ("tanh", 1.9, "passed"),
        ("tanh", 0.4, "passed"),
        ("tanh", 0.3, "failed"),
    ],
)
def test_a_recurrent_matrix_must_neither_multiply_nor_forget(kind, factor, verdict):
    program = reading(batch_first=True)
    cell = nn.RNN(8, 8, nonlinearity=kind, batch_first=True)
    with torch.no_grad():
        nn.init.eye_(cell.weight_hh_l0).mul_(factor)
    program.model.cell = cell
    program.optimizer = torch.optim.Adam(program.model.parameters())
    assert answer(program, "recurrent-radius").verdict == verdict
