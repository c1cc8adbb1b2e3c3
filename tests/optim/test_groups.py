"""Decay reaches weights and nothing else, and every trainable parameter is in one group."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from steadytrain.core.errors import UsageError
from steadytrain.optim import audit, parameter_groups


class ChannelNorm(nn.Module):
    """A convolutional norm as people write it: a scale of shape [1, C, 1, 1]."""

    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))


class Attention(nn.Module):
    """A temperature per head, a position embedding and a class token."""

    def __init__(self):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.ones(4, 1, 1))
        self.temperature = nn.Parameter(torch.ones(()))
        self.positions = nn.Parameter(torch.zeros(1, 9, 8))
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.mixing = nn.Parameter(torch.ones(8, 8))


def decayed(model, **options):
    """The names of the parameters that are decayed."""
    groups = parameter_groups(model, weight_decay=0.1, **options)
    return {row.name for row in audit(groups, model).rows if row.weight_decay}


def test_scales_with_the_shape_of_a_convolution_are_not_decayed():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), ChannelNorm(4))
    assert decayed(model) == {"0.weight"}


def test_temperatures_and_tokens_are_not_decayed_and_a_raw_matrix_is():
    assert decayed(Attention()) == {"mixing"}


def test_norm_in_a_name_does_not_make_a_norm():
    model = nn.ModuleDict({"normalizer_mlp": nn.Linear(2, 2), "abnormal_head": nn.Linear(2, 2)})
    assert decayed(model) == {"normalizer_mlp.weight", "abnormal_head.weight"}


def test_norms_are_known_by_their_type_whatever_their_name_and_shape():
    norms = [nn.BatchNorm1d(4), nn.LayerNorm((2, 3, 4)), nn.GroupNorm(2, 4), nn.RMSNorm((3, 4))]
    norms.append(nn.InstanceNorm2d(4, affine=True))
    assert decayed(nn.Sequential(*norms, nn.Linear(1, 1))) == {"5.weight"}


def test_a_weight_that_looks_like_a_vector_is_decayed():
    model = nn.Sequential(nn.Linear(8, 1), nn.Conv1d(1, 4, 1), nn.Linear(1, 1))
    assert decayed(model) == {"0.weight", "1.weight", "2.weight"}


def test_recurrent_and_attention_modules_decay_their_matrices_only():
    model = nn.ModuleList(
        [nn.LSTM(2, 3, num_layers=2, proj_size=2), nn.GRUCell(2, 3), nn.Bilinear(2, 3, 4)]
    )
    expected = {name for name, _ in model.named_parameters() if ".weight" in name}
    assert decayed(model) == expected
    attention = nn.MultiheadAttention(8, 2, add_bias_kv=True, kdim=4)
    projections = {f"{letter}_proj_weight" for letter in "qkv"}
    assert decayed(attention) == projections | {"out_proj.weight"}


def test_embeddings_are_decayed_on_demand():
    model = nn.Sequential(nn.Embedding(5, 4), Attention())
    assert decayed(model) == {"1.mixing"}
    everything = {"0.weight", "1.positions", "1.mixing"}
    assert decayed(model, decay_embeddings=True) == everything


def test_a_sparse_embedding_is_never_decayed_since_optimizers_refuse_it():
    model = nn.EmbeddingBag(5, 4, sparse=True)
    groups = parameter_groups(model, weight_decay=0.1, decay_embeddings=True)
    optimizer = torch.optim.SGD(groups, lr=0.1)
    model(torch.tensor([[0, 1]])).sum().backward()
    optimizer.step()


def test_a_tied_head_and_embedding_are_decided_once():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    model[1].weight = model[0].weight
    groups = parameter_groups(model, weight_decay=0.1)
    assert [len(group["params"]) for group in groups] == [1]
    assert groups[0]["weight_decay"] == 0
    assert decayed(model, decay_embeddings=True) == {"0.weight"}


def test_a_shared_module_is_in_the_groups_once():
    layer = nn.Linear(2, 2)
    groups = parameter_groups(nn.Sequential(layer, layer), weight_decay=0.1)
    assert sum(len(group["params"]) for group in groups) == 2
    torch.optim.AdamW(groups)


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    names = {row.name for row in audit(parameter_groups(model, weight_decay=0.1), model).rows}
    assert names == {"1.weight", "1.bias"}


def test_a_parametrised_weight_keeps_its_role_and_its_magnitude_is_a_scale():
    spectral = parametrizations.spectral_norm(nn.Linear(8, 1))
    assert decayed(spectral) == {"parametrizations.weight.original"}
    weighted = nn.Sequential(parametrizations.weight_norm(nn.Linear(8, 4)))
    assert decayed(weighted) == {"0.parametrizations.weight.original1"}


def test_reading_roles_does_not_run_a_power_iteration():
    layer = parametrizations.spectral_norm(nn.Linear(8, 4))
    before = [buffer.clone() for buffer in layer.buffers()]
    parameter_groups(layer, weight_decay=0.1)
    assert all(torch.equal(*pair) for pair in zip(before, layer.buffers(), strict=True))


def test_what_a_module_declares_is_honoured():
    model = Attention()
    model.no_weight_decay = lambda: {"mixing", "not_there"}
    assert decayed(model) == set()


def test_selectors_overrule_roles():
    model = nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 1), nn.LayerNorm(2))
    assert decayed(model, never_decay=[nn.Conv1d]) == {"0.weight"}
    assert decayed(model, never_decay=[model[0], model[1].weight]) == set()
    assert "2.weight" in decayed(model, always_decay=[model[2].weight])


@pytest.mark.parametrize("wrong", [nn.GRU, nn.Linear(1, 1), nn.Parameter(torch.ones(1)), 3, "bias"])
def test_a_selector_that_matches_nothing_is_refused(wrong):
    with pytest.raises(UsageError, match="a selector of type"):
        parameter_groups(nn.Linear(2, 2), weight_decay=0.1, never_decay=[wrong])


def test_a_selector_on_both_sides_is_refused():
    model = nn.Linear(2, 2)
    with pytest.raises(UsageError, match="both select weight"):
        parameter_groups(model, weight_decay=0.1, never_decay=[model], always_decay=[model.weight])


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight_decay": -0.1},
        {"weight_decay": float("nan")},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"lr": float("inf")},
    ],
)
def test_refuses_rates_that_are_none(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        parameter_groups(nn.Linear(2, 2), **{"weight_decay": 0.1} | wrong)


def test_refuses_a_model_with_nothing_to_train():
    for model in (nn.ReLU(), nn.Linear(2, 2).requires_grad_(False)):
        with pytest.raises(UsageError, match="no trainable parameter"):
            parameter_groups(model, weight_decay=0.1)


def test_refuses_parameters_where_the_model_is_needed():
    with pytest.raises(UsageError, match="generator, expected a torch"):
        parameter_groups(nn.Linear(2, 2).parameters(), weight_decay=0.1)


def test_lazy_layers_are_known_by_type_and_other_lazy_parameters_refused():
    assert decayed(nn.LazyLinear(4)) == {"weight"}
    model = nn.Module()
    model.raw = nn.UninitializedParameter()
    with pytest.raises(UsageError, match="no shape yet"):
        parameter_groups(model, weight_decay=0.1)


@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_any_optimizer_takes_the_groups_and_decays_only_the_weight(make):
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.bias.fill_(1)
    optimizer = make(parameter_groups(model, weight_decay=0.5, lr=0.1))
    before = model.weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(model.bias, torch.ones(2))
    assert not torch.equal(model.weight, before)


def test_the_audit_names_what_is_missing_repeated_foreign_and_frozen():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight.requires_grad_(False)
    groups = [{"params": [model[0].weight, model[0].weight, torch.ones(3, requires_grad=True)]}]
    groups.append({"params": [model[1].weight]})
    result = audit(groups, model)
    assert result.missing == ("0.bias", "1.bias")
    assert result.repeated == ("0.weight",)
    assert result.foreign == ("group 0, parameter 2",)
    assert result.frozen == ("1.weight",)
    assert len(result.problems) == 4
    assert all(problem in str(result) for problem in result.problems)


def test_the_audit_reads_an_optimizer_with_rates_in_tensors():
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.25), foreach=False)
    result = audit(optimizer, model)
    assert result.problems == ()
    assert {row.lr for row in result.rows} == {0.25}
