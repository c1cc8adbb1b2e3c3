"""Changes of rates, gradients and order, in the canonical step and in one of the user's own."""

import pytest
import torch
from changed_programs import applied, final_loss, own_step, regression, trained
from torch import nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import known_changes
from steadytrain.doctor.changes._losses import put_loss

pytestmark = pytest.mark.filterwarnings("ignore:Seems like `optimizer.step")
"""Torch says so of every copy of a schedule."""


def rates_used(program, steps=4):
    """The rate at every update of the main optimizer."""
    rates = []
    program.optimizer.register_step_post_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"])
    )
    trained(program, steps)
    return rates


def with_every_operation(model, batch):
    error = (model(batch[0]) - batch[1]).square()
    return (1 + error).log().mean() + (1 + error).sqrt().mean() / 2.0 + (-error).exp().mean()


def never_clears(program, batch):
    loss = program.loss_fn(program.model, batch)
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def clears_too_late(program, batch):
    loss = program.loss_fn(program.model, batch)
    loss.backward()
    program.optimizer.zero_grad()
    program.optimizer.step()
    return loss.detach()


def sums_microbatches(program, batch):
    program.optimizer.zero_grad()
    for place in range(0, 8, 2):
        loss = program.loss_fn(program.model, (batch[0][place:], batch[1][place:]))
        loss.backward()
    program.optimizer.step()
    return loss.detach()


def forgets_the_second_optimizer(program, batch):
    program.optimizer.zero_grad()
    program.extra["second"].zero_grad()
    loss = program.loss_fn(program.model, batch)
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def sets_its_own_rate(program, batch):
    for group in program.optimizer.param_groups:
        group["lr"] = 0.2
    return own_step(program, batch)


def scales_then_clips(program, batch):
    program.optimizer.zero_grad()
    loss = program.loss_fn(program.model, batch)
    program.scaler.scale(loss).backward()
    nn.utils.clip_grad_norm_(program.model.parameters(), 1.0)
    program.scaler.step(program.optimizer)
    program.scaler.update()
    return loss.detach()


def test_a_rate_is_scaled_under_the_schedule_that_goes_on():
    program = regression()
    program.scheduler = torch.optim.lr_scheduler.StepLR(program.optimizer, 1, gamma=0.5)
    assert rates_used(applied("lr-tenth", program)) == pytest.approx([0.01, 0.005, 0.0025, 0.00125])


def test_a_rate_that_the_step_sets_itself_is_scaled_at_the_update():
    assert rates_used(applied("lr-tenth", regression(sets_its_own_rate))) == pytest.approx(
        [0.02] * 4
    )


def test_a_ramp_multiplies_what_the_schedule_gives():
    program = regression()
    program.scheduler = torch.optim.lr_scheduler.StepLR(program.optimizer, 2, gamma=0.1)
    changed = applied("warmup", program, steps=40)
    assert rates_used(changed) == pytest.approx([0.025, 0.05, 0.0075, 0.01])


def test_without_its_schedule_the_rate_is_the_one_it_began_with():
    program = regression()
    program.scheduler = torch.optim.lr_scheduler.StepLR(program.optimizer, 1, gamma=0.1)
    assert rates_used(applied("constant-schedule", program)) == pytest.approx([0.1] * 4)


def test_a_group_that_runs_ahead_gets_the_lowest_rate():
    program = regression()
    first, *others = program.model.parameters()
    groups = [{"params": [first], "lr": 5.0}, {"params": others}]
    program.optimizer = torch.optim.SGD(groups, lr=0.05)
    changed = applied("lowest-rate-for-all", program)
    assert [group["lr"] for group in changed.optimizer.param_groups] == [0.05, 0.05]
    assert applied("lowest-rate-for-all", regression()) is None


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ("clear-gradients", never_clears),
        ("canonical-step", never_clears),
        ("raw-gradients", never_clears),
        ("raw-gradients", clears_too_late),
        ("canonical-step", clears_too_late),
    ],
)
def test_a_loop_that_loses_or_keeps_gradients_trains_like_a_right_one(change, step):
    right = final_loss(regression(own_step))
    assert final_loss(applied(change, regression(step))) < 2 * right + 0.01
    assert not final_loss(regression(step)) < 3 * right + 0.01


def test_summed_microbatches_are_divided_by_their_number():
    whole, divided = (
        regression(own_step),
        applied("divide-by-microbatches", regression(sums_microbatches)),
    )
    before = [p.detach().clone() for p in divided.model.parameters()]
    trained(divided, 1)
    trained(whole, 1)
    moved = sum(
        float((a - b).detach().norm())
        for a, b in zip(before, divided.model.parameters(), strict=True)
    )
    undivided = regression(sums_microbatches)
    trained(undivided, 1)
    summed = sum(
        float((a - b).detach().norm())
        for a, b in zip(before, undivided.model.parameters(), strict=True)
    )
    assert summed == pytest.approx(4 * moved, rel=1e-4)


def test_an_optimizer_that_is_never_stepped_is_stepped():
    program = regression()
    first, second = program.model[0], program.model[2]
    program = Program(
        model=program.model,
        optimizer=torch.optim.SGD(first.parameters(), lr=0.05),
        batches=program.batches,
        loss_fn=program.loss_fn,
        step_fn=forgets_the_second_optimizer,
        extra={"second": torch.optim.SGD(second.parameters(), lr=0.05)},
    )
    changed = applied("missing-step", program)
    trained(changed, 3)
    trained(program, 3)
    assert not torch.equal(changed.model[2].weight, program.model[2].weight)


def test_an_optimizer_that_steps_itself_is_not_stepped_twice():
    plain, changed = regression(own_step), applied("missing-step", regression(own_step))
    assert trained(changed).tolist() == trained(plain).tolist()


def test_gradients_are_unscaled_before_the_step_clips_them():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    changed = applied("unscale-first", regression(scales_then_clips, scaler=scaler))
    assert trained(changed).tolist() == pytest.approx(trained(regression(own_step)).tolist())
    assert changed.scaler.is_enabled()


def test_nothing_stays_registered_on_the_optimizer_after_a_step():
    for name in ("clip-at-one", "raw-gradients", "missing-step", "lr-tenth", "safe-log"):
        changed = applied(name, regression(own_step, loss_fn=with_every_operation))
        trained(changed, 2)
        assert not changed.optimizer._optimizer_step_pre_hooks
        assert not changed.optimizer._optimizer_step_post_hooks
        assert torch.overrides._get_current_function_mode() is None


def test_an_error_in_the_step_leaves_nothing_behind():
    def breaks(_program, _batch):
        raise RuntimeError("mine")

    changed = known_changes()["clip-at-one"].apply(regression(breaks), None)
    with pytest.raises(RuntimeError, match="mine"):
        trained(changed, 1)
    assert torch.overrides._get_current_function_mode() is None


def test_safe_arithmetic_leaves_the_optimizer_alone():
    def adam(program):
        program.optimizer = torch.optim.Adam(program.model.parameters(), lr=0.01, eps=1e-30)
        return program

    plain = trained(adam(regression(own_step, loss_fn=with_every_operation)))
    for name in ("safe-div", "safe-sqrt", "safe-log", "safe-exp"):
        program = adam(regression(own_step, loss_fn=with_every_operation))
        assert trained(applied(name, program)).tolist() == plain.tolist()


def test_a_carried_state_loses_its_graph():
    def carries(program, batch):
        loss = own_step(program, batch)
        kept = program.loss_fn(program.model, batch)
        program.extra["total"] = program.extra["total"] + kept
        return loss

    changed = applied("detach-state", regression(carries, extra={"total": 0.0}))
    trained(changed, 3)
    assert changed.extra["total"].grad_fn is None


def test_training_mode_returns_where_the_loop_lost_it_and_validation_keeps_its_own():
    def loses_it(program, batch):
        with torch.no_grad():
            program.extra["seen"].append(program.model.training)
            program.model(batch[0])
        program.extra["modes"].append(program.model.training)
        program.model.eval()
        return own_step(program, batch)

    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options = {"model": model, "optimizer": optimizer, "extra": {"seen": [], "modes": []}}
    changed = applied("train-mode", regression(loses_it, **options))
    trained(changed, 3)
    assert changed.model.training
    assert changed.extra["seen"] == [True, True, True]


def goes_backward_by_autograd(program, batch):
    program.optimizer.zero_grad()
    losses = [program.loss_fn(program.model, (batch[0][at], batch[1][at])) for at in (0, 1)]
    torch.autograd.backward([10 * losses[0], 10 * losses[1]])
    program.optimizer.step()
    return losses[0].detach()


def goes_backward_by_itself(program, batch):
    program.optimizer.zero_grad()
    losses = [program.loss_fn(program.model, (batch[0][at], batch[1][at])) for at in (0, 1)]
    torch.stack([10 * losses[0], 10 * losses[1]]).sum().backward()
    program.optimizer.step()
    return losses[0].detach()


@pytest.mark.parametrize("name", ["no-clip", "missing-step", "canonical-step", "raw-gradients"])
def test_a_backward_of_autograd_is_changed_as_a_tensors_own(name):
    one, other = (
        applied(name, regression(step))
        for step in (goes_backward_by_autograd, goes_backward_by_itself)
    )
    assert trained(one, 6) == pytest.approx(trained(other, 6))


def test_a_loss_is_replaced_where_autograd_goes_backward_from_it():
    one, other = (regression(step) for step in (goes_backward_by_autograd, goes_backward_by_itself))
    plain = trained(regression(goes_backward_by_autograd), 4)
    for program in (one, other):
        put_loss(program, lambda loss, _: loss / 10)
    assert trained(one, 4) == pytest.approx(trained(other, 4))
    assert trained(one, 4)[-1] != pytest.approx(plain[-1])


def test_autograd_is_as_it_was_after_a_step_that_raised():
    def broken(program, batch):
        torch.autograd.backward(program.loss_fn(program.model, batch))
        raise RuntimeError("the step broke")

    before = torch.autograd.backward
    with pytest.raises(RuntimeError, match="broke"):
        trained(applied("no-clip", regression(broken)), 1)
    assert torch.autograd.backward is before
