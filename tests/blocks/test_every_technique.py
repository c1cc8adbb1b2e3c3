"""The contract every technique keeps, over every file that is found in the rooms."""

import copy
import doctest
import importlib
import inspect

import pytest
import torch
from torch import nn

from steadytrain.core.errors import SteadytrainError
from steadytrain.core.technique import ROOMS, SECTIONS, known_techniques, technique

TECHNIQUES = known_techniques()
SAMPLES = [(name, place) for name, one in TECHNIQUES.items() for place in range(len(one.samples))]
TYPED = [
    (name, place, dtype)
    for name, place in SAMPLES
    for dtype in TECHNIQUES[name].samples[place].dtypes
]


def made(name, place, dtype="float32"):
    """The sample's function and its arguments in a dtype."""
    torch.manual_seed(0)
    sample = TECHNIQUES[name].samples[place]
    function = sample.build()
    wanted = getattr(torch, dtype)
    if isinstance(function, nn.Module):
        function.to(wanted)
    return function, tuple(as_leaf(value, wanted) for value in sample.inputs())


def as_leaf(value, dtype):
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.detach().to(dtype).requires_grad_()
    return value


def tensors(output):
    parts = output if isinstance(output, tuple | list) else (output,)
    found = [part for part in parts if isinstance(part, torch.Tensor) and part.is_floating_point()]
    assert found, f"no floating tensor in {output!r}"
    return found


def total(output):
    return sum(part.float().square().sum() for part in tensors(output))


def leaves(function, inputs):
    own = list(function.parameters()) if isinstance(function, nn.Module) else []
    given = [value for value in inputs if isinstance(value, torch.Tensor) and value.requires_grad]
    return [leaf for leaf in (*own, *given) if leaf.requires_grad]


def test_both_rooms_hold_techniques():
    assert {one.room for one in TECHNIQUES.values()} == set(ROOMS)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_its_public_names_are_exported_by_its_room(name):
    one = TECHNIQUES[name]
    room = importlib.import_module(one.room)
    for export in one.exports:
        assert getattr(room, export).__doc__, f"{export} has no docstring"


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_belongs_to_a_file_that_is_there(room):
    package = importlib.import_module(room)
    assert {name for name in dir(package) if getattr(package, name) is None} == set()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_its_documented_examples_run(name):
    one = TECHNIQUES[name]
    module = importlib.import_module(f"{one.room}.{name.replace('-', '_')}")
    torch.manual_seed(0)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_public_name_shows_an_example(name):
    one = TECHNIQUES[name]
    room = importlib.import_module(one.room)
    shown = [export for export in one.exports if ">>>" in has_example(getattr(room, export))]
    assert shown == list(one.exports)


def has_example(public):
    if not callable(public):
        return ">>>"
    return inspect.getdoc(public) or ""


@pytest.mark.parametrize(("name", "place", "dtype"), TYPED)
def test_outputs_and_gradients_are_finite(name, place, dtype):
    function, inputs = made(name, place, dtype)
    output = function(*inputs)
    assert all(torch.isfinite(part).all() for part in tensors(output))
    wanted = leaves(function, inputs)
    grads = torch.autograd.grad(total(output), wanted, allow_unused=True)
    assert any(grad is not None for grad in grads) or not wanted
    assert all(torch.isfinite(grad).all() for grad in grads if grad is not None)


@pytest.mark.parametrize(("name", "place"), SAMPLES)
def test_a_graph_without_breaks_gives_the_same_numbers(name, place):
    if not TECHNIQUES[name].samples[place].compiles:
        pytest.skip("not promised: see its documentation")
    function, inputs = made(name, place)
    plain = copy.deepcopy(function)
    torch._dynamo.reset()
    torch.manual_seed(1)
    traced = torch.compile(function, fullgraph=True, backend="aot_eager")(*inputs)
    torch.manual_seed(1)
    for one, other in zip(tensors(traced), tensors(plain(*inputs)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "place"), SAMPLES)
def test_a_module_is_what_its_state_dict_says(name, place):
    function, inputs = made(name, place)
    if not isinstance(function, nn.Module):
        pytest.skip("a function has no state")
    torch.manual_seed(2)
    other = TECHNIQUES[name].samples[place].build()
    other.load_state_dict(function.state_dict())
    function.eval(), other.eval()
    pairs = zip(tensors(function(*inputs)), tensors(other(*inputs)), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize(("name", "place"), SAMPLES)
def test_gradients_of_gradients_are_finite_where_promised(name, place):
    if not TECHNIQUES[name].samples[place].double_backward:
        pytest.skip("not promised: see its documentation")
    function, inputs = made(name, place)
    wanted = leaves(function, inputs)
    first = torch.autograd.grad(
        total(function(*inputs)), wanted, create_graph=True, allow_unused=True
    )
    curved = sum(grad.square().sum() for grad in first if grad is not None)
    second = torch.autograd.grad(curved, wanted, allow_unused=True)
    assert all(torch.isfinite(grad).all() for grad in second if grad is not None)


def test_a_file_without_a_section_is_refused():
    doc = "It helps.\n\n" + "\n\n".join(f"## {name}\nx" for name in SECTIONS[:-1])
    with pytest.raises(SteadytrainError, match="Helps against"):
        technique("steadytrain.blocks.example", doc, exports=())


def test_a_cause_outside_the_vocabulary_is_refused():
    doc = "It helps.\n\n" + "\n\n".join(f"## {name}\n`bad-luck`" for name in SECTIONS)
    with pytest.raises(SteadytrainError, match="root cause 'bad-luck'"):
        technique("steadytrain.blocks.example", doc, exports=())
