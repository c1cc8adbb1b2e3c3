"""Where signals go: through samples, positions, layers and units, and from one tiny batch."""

import pytest
import torch
from preflight_programs import answer, classifier, cross_entropy, regression
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

import steadytrain as st

LENGTH, WORDS = 12, 7


class Text(nn.Module):
    """Tokens, one layer that mixes positions in the way given, a head."""

    def __init__(self, mix):
        super().__init__()
        self.token, self.mix, self.head = nn.Embedding(WORDS, 16), mix, nn.Linear(16, WORDS)

    def forward(self, tokens):
        return self.head(self.mix(self.token(tokens)))


class Attention(nn.Module):
    def __init__(self, *, causal=True, heads_by_view=False):
        super().__init__()
        self.qkv, self.causal, self.heads_by_view = nn.Linear(16, 48), causal, heads_by_view

    def forward(self, x):
        parts = self.qkv(x).chunk(3, -1)
        shape = (len(x), 2, -1, 8) if self.heads_by_view else (len(x), -1, 2, 8)
        heads = [part.reshape(shape) for part in parts]
        heads = heads if self.heads_by_view else [one.transpose(1, 2) for one in heads]
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=self.causal)
        return mixed.transpose(1, 2).reshape(x.shape)


class Recurrent(nn.Module):
    def __init__(self, *, batch_first=True):
        super().__init__()
        self.cell = nn.GRU(16, 16, batch_first=batch_first)

    def forward(self, x):
        return self.cell(x)[0]


def next_word(model, batch):
    return functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def reader(mix):
    torch.manual_seed(0)
    model = Text(mix)
    return st.Program(
        model=model,
        optimizer=torch.optim.Adam(model.parameters()),
        batches=list(torch.randint(WORDS, (3, 6, LENGTH + 1))),
        loss_fn=next_word,
    )


@pytest.mark.parametrize(
    ("mix", "cause"),
    [
        (Attention(causal=False), "target-leak"),
        (Attention(heads_by_view=True), "wrong-axis"),
    ],
)
def test_a_position_that_sees_later_ones(mix, cause):
    found = answer(reader(mix), "looks-ahead")
    assert found.verdict == "failed"
    assert found.findings[0].causes[0] == cause
    assert found.findings[0].site == "mix"


@pytest.mark.parametrize("mix", [Attention(), Recurrent(), nn.Identity()])
def test_positions_that_see_earlier_ones_only(mix):
    found = answer(reader(mix), "looks-ahead")
    assert (found.verdict, found.number) == ("passed", 0.0)


def test_a_reader_of_both_sides_that_predicts_no_next_word_is_left_alone():
    program = reader(Attention(causal=False))
    program.loss_fn = lambda model, batch: functional.cross_entropy(
        model(batch).mean(1), batch[:, 0]
    )
    assert answer(program, "looks-ahead").verdict == "not-applicable"


def test_a_recurrent_layer_that_takes_the_batch_for_time():
    found = answer(reader(Recurrent(batch_first=False)), "batch-dependence")
    assert found.findings[0].site == "mix.cell"
    assert answer(reader(Recurrent()), "batch-dependence").verdict == "passed"


class MixesRows(nn.Module):
    def forward(self, x):
        return x - x.mean(dim=0, keepdim=True)


def test_a_mean_over_the_batch_is_found_in_its_module():
    found = answer(classifier(tail=(MixesRows(),)), "batch-dependence")
    assert found.findings[0].site == "3"
    assert answer(classifier(), "batch-dependence").number == 0.0


def test_batch_norm_and_dropout_are_no_dependence():
    program = classifier(tail=(nn.BatchNorm1d(3), nn.Dropout(0.5)))
    assert answer(program, "batch-dependence").verdict == "passed"


def test_samples_mixed_before_the_model_are_left_alone():
    def mixed(model, batch):
        return cross_entropy(model, (0.5 * batch[0] + 0.5 * batch[0].flip(0), batch[1]))

    assert answer(classifier(loss_fn=mixed), "batch-dependence").verdict == "not-applicable"


def test_time_first_is_no_dependence():
    def loss_fn(model, batch):
        return model(batch)[0].square().mean()

    model = nn.GRU(4, 8)
    series = torch.randn(9, 12, 4)
    fields = {"model": model, "optimizer": torch.optim.Adam(model.parameters()), "loss_fn": loss_fn}
    listed = st.Program(batches=[series], **fields)
    assert answer(listed, "batch-dependence").verdict == "not-applicable"
    loaded = st.Program(batches=DataLoader(list(series), batch_size=9), **fields)
    assert answer(loaded, "batch-dependence").verdict == "failed"


def stack(depth, activation, gain=1.0, width=24):
    torch.manual_seed(0)
    layers = [nn.Linear(4, width), activation()]
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, 3))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain=gain)
    program = classifier()
    program.model = model
    program.optimizer = torch.optim.Adam(model.parameters())
    return program


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        (lambda: stack(12, nn.Sigmoid), "vanishing-gradient"),
        (lambda: stack(16, nn.Tanh, gain=0.4), "vanishing-gradient"),
        (lambda: stack(16, nn.ReLU, gain=5.0), "exploding-gradient"),
    ],
)
def test_depth_that_starves_or_floods(program, cause):
    found = answer(program(), "signal-flow")
    assert cause in {name for one in found.findings for name in one.causes[:1]}


@pytest.mark.parametrize("depth", [4, 16])
def test_depth_that_keeps_the_signal(depth):
    assert answer(stack(depth, nn.ReLU, gain=2**0.5), "signal-flow").verdict == "passed"


def test_a_shallow_network_has_no_depth_to_judge():
    assert answer(classifier(), "signal-flow").verdict == "not-applicable"


def test_silent_and_saturated_units():
    silent = stack(1, nn.ReLU)
    nn.init.constant_(silent.model[0].bias, -100.0)
    found = answer(silent, "silent-units")
    assert (found.findings[0].site, found.findings[0].causes[0]) == ("1", "dying-relu")
    wide = answer(stack(1, nn.Tanh, gain=200.0), "silent-units")
    assert wide.findings[0].causes[0] == "saturated-activation"
    assert answer(stack(1, nn.ReLU), "silent-units").verdict == "passed"


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_units_that_are_all_the_same(value):
    program = classifier()
    for parameter in program.model.parameters():
        nn.init.constant_(parameter, value)
    found = answer(program, "symmetric-units")
    assert found.verdict == "failed"
    assert found.findings[0].site == "0"


def test_a_head_that_begins_at_zero_is_healthy():
    program = classifier()
    nn.init.zeros_(program.model[2].weight)
    assert answer(program, "symmetric-units").verdict == "passed"


def test_eight_samples_are_learned():
    found = answer(classifier(tail=(nn.BatchNorm1d(3), nn.Dropout(0.3))), "tiny-batch")
    assert found.verdict == "passed"
    assert "without inputs" in found.seen


class Cut(nn.Module):
    def forward(self, x):
        return x.detach() * 0 + 1


def test_eight_samples_behind_a_cut_are_not_learned():
    program = classifier()
    program.model.insert(2, Cut())
    found = answer(program, "tiny-batch")
    assert found.verdict == "failed"
    assert found.findings[0].causes[0] == "detached-graph"
    assert found.findings[0].site == "0.weight"
    assert found.findings[0].evidence["silent_parameters"] == 2


def test_a_squared_error_counts_against_the_variance_of_its_targets():
    found = answer(regression(shift=5.0), "tiny-batch")
    assert found.verdict == "passed"
    assert found.number < 1.0


def test_a_network_too_slow_to_tell_is_left_undecided():
    from steadytrain.checks._scene import Scene
    from steadytrain.checks.tiny_batch import TinyBatch

    found = TinyBatch(max_seconds=0.0).judge(Scene(classifier()))
    assert found.verdict == "not-applicable"
    assert "undecided" in found.seen
