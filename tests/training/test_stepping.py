"""The order and the arithmetic of one optimizer step."""

import math

import pytest
import torch
from torch import nn
from training_programs import assert_same, everything, make_program, mean_squared_error, tensors_of

import steadytrain as st
from steadytrain.core.errors import ProgramError


def linear_program(batches, **fields):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    fields = {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1)} | fields
    return st.Program(model=model, batches=batches, loss_fn=mean_squared_error, **fields)


def batch_of(size, seed=0):
    inputs = torch.randn(size, 4, generator=torch.Generator().manual_seed(seed))
    return inputs, inputs.sum(1, keepdim=True)


def train(program, steps, **options):
    return st.train(program, steps, watch=False, progress=False, **options)


def test_equals_a_loop_written_by_hand_to_the_bit():
    program = make_program(clip=0.5)
    train(program, 11)
    by_hand = make_program()
    model, optimizer, scheduler = by_hand.model, by_hand.optimizer, by_hand.scheduler
    for _ in range(2):
        for step, batch in enumerate(by_hand.batches):
            if _ == 1 and step == 5:
                break
            mean_squared_error(model, batch).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
    weights = tensors_of(program.model.state_dict())
    assert_same(weights, tensors_of(model.state_dict()))


def test_accumulated_microbatches_equal_the_large_batch():
    large = batch_of(32)
    parts = list(zip(large[0].split(8), large[1].split(8), strict=True))
    one, many = linear_program([large]), linear_program(parts, accumulate=4)
    runs = [train(program, 5) for program in (one, many)]
    for a, b in zip(one.model.parameters(), many.model.parameters(), strict=True):
        assert (a - b).abs().max() <= 1e-6
    assert runs[0].metrics["loss"] == pytest.approx(runs[1].metrics["loss"], rel=1e-6)


def test_an_accumulation_window_goes_on_over_the_end_of_an_epoch():
    seen = []

    def loss_fn(model, batch):
        seen.append(batch)
        return (model.weight * batch).sum()

    model = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [torch.tensor(float(n)) for n in (1, 2, 3)]
    program = st.Program(
        model=model, optimizer=optimizer, batches=batches, loss_fn=loss_fn, accumulate=2, clip=None
    )
    before = model.weight.item()
    train(program, 3)
    assert [int(b) for b in seen] == [1, 2, 3, 1, 2, 3]
    assert model.weight.item() == pytest.approx(before - 0.1 * (1.5 + 2.0 + 2.5))


def distance_of_one_step(**fields):
    inputs, targets = batch_of(4)
    program = linear_program([(inputs * 100, targets * 100)] * 2, **fields)
    before = nn.utils.parameters_to_vector(program.model.parameters()).detach()
    train(program, 1)
    after = nn.utils.parameters_to_vector(program.model.parameters()).detach()
    return float((after - before).norm())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_clips_once_per_window(accumulate):
    distance = distance_of_one_step(clip=1e-3, accumulate=accumulate)
    assert distance == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_clips_not_at_all_when_switched_off():
    assert distance_of_one_step(clip=None) > 1


def test_unscales_before_it_clips():
    scaled = linear_program([batch_of(8)], clip=0.05)
    plain = linear_program([batch_of(8)], clip=0.05)
    scaled.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    train(scaled, 4)
    train(plain, 4)
    for a, b in zip(scaled.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-7)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_forward_pass_runs_in_the_precision_asked_for(precision):
    seen = []
    program = linear_program([batch_of(8)], precision=precision)
    program.model[0].register_forward_hook(lambda m, i, output: seen.append(output.dtype))
    train(program, 2)
    assert set(seen) == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert (program.scaler is not None) == (precision == "fp16")
    assert program.model[0].weight.dtype == torch.float32


def test_the_schedule_does_not_advance_where_the_scaler_skipped():
    losses = iter([1.0, math.inf, 1.0, math.inf])
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    program = linear_program([batch_of(8)], precision="fp16", scaler=scaler)
    program.scheduler = torch.optim.lr_scheduler.StepLR(program.optimizer, 1, gamma=0.5)
    program.loss_fn = lambda model, batch: mean_squared_error(model, batch) * next(losses)
    train(program, 4)
    assert program.step == 4
    assert program.scheduler.last_epoch == 2
    assert program.optimizer.param_groups[0]["lr"] == 0.025
    assert all(p.isfinite().all() for p in program.model.parameters())


def test_the_loss_scale_has_a_floor():
    program = linear_program([batch_of(8)], precision="fp16")
    program.loss_fn = lambda model, batch: mean_squared_error(model, batch) * math.inf
    train(program, 200)
    assert program.scaler.get_scale() > 0
    program.loss_fn = mean_squared_error
    train(program, 201)
    assert all(p.isfinite().all() for p in program.model.parameters())


def test_gradients_outside_the_optimizer_neither_grow_nor_shrink_the_step():
    torch.manual_seed(0)
    model = nn.ModuleDict({"held": nn.Linear(4, 1), "other": nn.Linear(4, 1)})
    program = st.Program(
        model=model,
        optimizer=torch.optim.SGD(model["held"].parameters(), lr=0.1),
        batches=[batch_of(8)],
        loss_fn=lambda m, b: ((m["held"](b[0]) + 1e4 * m["other"](b[0]) - b[1]) ** 2).mean(),
        clip=1.0,
    )
    before = model["held"].weight.detach().clone()
    train(program, 1)
    step = (model["held"].weight.detach() - before).norm()
    assert float(step) > 0.05
    assert model["other"].weight.grad is None


def test_leftover_gradients_do_not_enter_the_first_step():
    dirty, clean = linear_program([batch_of(8)]), linear_program([batch_of(8)])
    for parameter in dirty.model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    train(dirty, 1)
    train(clean, 1)
    assert_same(tensors_of(dirty.model.state_dict()), tensors_of(clean.model.state_dict()))


@pytest.mark.parametrize(
    ("loss_fn", "says"),
    [
        (lambda m, b: None, "None"),
        (lambda m, b: mean_squared_error(m, b).item(), "float"),
        (lambda m, b: (m(b[0]) - b[1]) ** 2, r"shape \[8, 1\]"),
        (lambda m, b: mean_squared_error(m, b).detach(), "needs no gradient"),
    ],
)
def test_refuses_a_loss_that_cannot_be_trained_on(loss_fn, says):
    program = linear_program([batch_of(8)])
    program.loss_fn = loss_fn
    before = everything(program)
    with pytest.raises(ProgramError, match=says):
        train(program, 1)
    assert_same(before, everything(program))


def test_a_step_fn_is_the_whole_step_and_its_loss_is_logged():
    steps = []

    def step_fn(program, batch):
        steps.append(program.step)
        program.optimizer.zero_grad()
        loss = mean_squared_error(program.model, batch)
        loss.backward()
        program.optimizer.step()
        return loss

    program = linear_program([batch_of(8)], step_fn=step_fn)
    run = train(program, 3)
    assert steps == [0, 1, 2]
    assert program.step == 3
    assert run.history.series("loss")[-1] == pytest.approx(run.metrics["loss"])


def test_refuses_a_step_fn_that_returns_no_loss():
    program = linear_program([batch_of(8)], step_fn=lambda program, batch: None)
    with pytest.raises(ProgramError, match="step_fn returned None"):
        train(program, 1)
