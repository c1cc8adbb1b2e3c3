from __future__ import annotations

import numpy as np
import pytest

from steadytrain.core.errors import ProgramError
from steadytrain.core.program import Program


class Model:
    def __init__(self, count: int = 1) -> None:
        self.held = [[0.0] for _ in range(count)]

    def parameters(self):
        return iter(self.held)


class Optimizer:
    def __init__(self, model: Model) -> None:
        self.param_groups = [{"params": model.held}]

    def step(self) -> None:
        self.param_groups[0]["params"][0][0] += 1


def make(**fields) -> Program:
    model = fields.pop("model", None) or Model()
    plain = {
        "optimizer": Optimizer(Model()),
        "batches": [1, 2],
        "loss_fn": lambda model, batch: 0.0,
    }
    return Program(model=model, **{**plain, **fields})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "a name"),
        ("model", Model(0)),
        ("optimizer", "adam"),
        ("batches", 3),
        ("batches", []),
        ("loss_fn", None),
        ("loss_fn", 1.0),
        ("metric_fn", "accuracy"),
        ("precision", "fp8"),
        ("accumulate", 0),
        ("accumulate", True),
        ("accumulate", 1.5),
        ("clip", 0),
        ("clip", float("nan")),
        ("clip", float("inf")),
        ("clip", True),
        ("model", Model),
        ("batches", "a text"),
        ("batches", {"x": 1, "y": 2}),
        ("scheduler", 3),
        ("scaler", 65536.0),
        ("extra", ["ema"]),
        ("step", -1),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused_by_name(field, value):
    with pytest.raises(ProgramError, match=rf"Program\.{field}: got .*expected"):
        make(**{field: value})


def test_whole_numbers_and_norms_of_numpy_are_taken_as_pythons_own():
    program = make(accumulate=np.int64(2), clip=np.float32(0.5), step=np.int32(3))
    assert [program.accumulate, program.clip, program.step] == [2, 0.5, 3]
    assert [type(program.accumulate), type(program.clip)] == [int, float]


def test_what_a_step_function_alone_uses_may_be_anything():
    schedulers = ["one of the generator", "one of the critic"]
    program = make(step_fn=lambda program, batch: 0.0, scheduler=schedulers, scaler=3)
    assert program.scheduler is schedulers


def test_nothing_extra_is_an_empty_dict():
    assert make(extra=None).extra == {}


def test_is_shown_by_its_parts_and_never_by_its_data():
    shown = repr(make(batches=[[0.0] * 10_000], clip=None))
    assert shown.startswith("Program(model=Model, optimizer=Optimizer, batches=list, loss_fn=")
    assert len(shown) < 200


def test_a_step_function_needs_no_loss_function():
    assert make(loss_fn=None, step_fn=lambda program, batch: 0.0).loss_fn is None


def test_a_one_shot_iterator_can_be_read_again():
    program = make(batches=iter([1, 2, 3]))
    assert next(iter(program.batches)) == 1
    assert list(program.batches) == [1, 2, 3]
    assert list(program.batches) == [1, 2, 3]


def test_a_copy_is_one_piece_and_leaves_the_original_alone():
    model = Model()
    program = make(model=model, optimizer=Optimizer(model), extra={"best": model.held[0]})
    twin = program.copy()
    twin.optimizer.step()
    assert twin.model.held == [[1.0]]
    assert twin.extra["best"] is twin.model.held[0]
    assert program.model.held == [[0.0]]
    assert twin.batches is program.batches
    assert twin.loss_fn is program.loss_fn


def test_a_factory_builds_the_program_and_stays_with_it():
    program = Program.from_factory(lambda seed: make(extra={"seed": seed}), seed=7)
    assert (program.seed, program.extra["seed"]) == (7, 7)
    assert program.factory is not None
    assert program.factory(8).extra["seed"] == 8


def test_a_factory_that_is_none_is_refused():
    with pytest.raises(ProgramError, match=r"got None, expected a function of a seed"):
        Program.from_factory(None)


def test_a_factory_that_builds_something_else_is_refused():
    with pytest.raises(ProgramError, match="returned int"):
        Program.from_factory(lambda seed: 3)


class Forgetful(Optimizer):
    """Leaves out of its state what it could not step without, as torch's LBFGS does."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.listed = self.param_groups[0]["params"]

    def __getstate__(self):
        return {"param_groups": self.param_groups}


def test_an_optimizer_that_copies_itself_in_part_is_whole_in_a_copy():
    model = Model()
    program = make(model=model, optimizer=Forgetful(model), extra={"other": Forgetful(model)})
    twin = program.copy()
    for own in (twin.optimizer, twin.extra["other"]):
        assert own.listed is own.param_groups[0]["params"]
        assert own.listed[0] is twin.model.held[0]
        assert own.listed is not program.optimizer.listed
