"""What made a value NaN or infinite: one verdict for all rules."""

import pytest

from steadytrain.core.history import History
from steadytrain.engine import judge
from steadytrain.rules._blame import blame


def history(step=5, **bad):
    """Five quiet steps, then one with what is given; modules a and b, the parameter a.weight."""
    sites = {"act_max": ["a", "b"], "grad_num_nonfinite": ["a.weight"]}
    table = History({"parameter": ["a.weight"], "module": ["a", "b"]})
    for number in range(step):
        table.append(number, "loss", 1.0)
        table.append(number, "act_max", [1.0, 1.0], sites["act_max"])
    for stat, values in bad.items():
        table.append(step, stat, values)
    return table


def module(largest, nans=3.0):
    return history(
        act_num_nonfinite=[3.0, 3.0],
        input_num_nonfinite=[0.0, 3.0],
        input_max=[largest, 1.0],
        act_num_nan=[nans, 3.0],
        loss_num_nonfinite=1.0,
        grad_num_nonfinite=[4.0],
    )


@pytest.mark.parametrize(
    ("largest", "nans", "cause"),
    [
        (1.0, 3.0, "div-by-zero"),
        (1.0, 0.0, "log-of-zero"),
        (120.0, 0.0, "exp-overflow"),
        (4000.0, 3.0, "fp16-overflow"),
        (1e20, 3.0, "lr-too-high"),
    ],
)
def test_a_module_is_judged_by_the_size_of_what_went_in(largest, nans, cause):
    verdict = blame(module(largest, nans), 5)
    assert (verdict.origin, verdict.causes[0]) == ("module", cause)


def test_a_batch_is_blamed_before_everything_it_broke():
    verdict = blame(history(batch_num_nonfinite=2.0, act_num_nonfinite=[3.0, 3.0]), 5)
    assert (verdict.origin, verdict.causes[0]) == ("batch", "nonfinite-input")


def test_a_loss_that_alone_is_not_finite_is_not_put_on_the_batch():
    verdict = blame(history(loss_num_nonfinite=1.0, batch_num_nonfinite=0.0), 5)
    assert verdict.origin == "loss"
    assert "nonfinite-input" not in verdict.causes


def test_a_gradient_that_alone_is_not_finite_points_to_the_backward_pass():
    verdict = blame(history(loss_num_nonfinite=0.0, grad_num_nonfinite=[1.0]), 5)
    assert (verdict.origin, verdict.causes[0]) == ("backward", "sqrt-zero-grad")


def test_what_follows_is_blamed_on_the_step_where_it_began():
    table = history(batch_num_nonfinite=1.0, loss_num_nonfinite=1.0)
    table.append(6, "loss_num_nonfinite", 1.0)
    table.append(6, "param_num_nonfinite", [4.0])
    assert blame(table, 6).step == 5
    assert blame(table, 6).causes[0] == "nonfinite-input"


def test_a_parameter_that_its_own_update_did_not_write_was_written_by_something_else():
    table = history(param_num_nonfinite=[1.0], update_norm=[0.01], grad_num_nonfinite=[0.0])
    table.append(4, "param_norm", [3.0])
    assert blame(table, 5).causes[0] == "hardware-fault"


def test_all_findings_on_one_broken_batch_nominate_the_same_cause():
    table = history(
        batch_num_nonfinite=2.0,
        act_num_nonfinite=[3.0, 3.0],
        loss_num_nonfinite=1.0,
        grad_num_nonfinite=[4.0],
        param_num_nonfinite=[4.0],
    )
    said = {finding.rule: finding.causes[0] for finding in judge(table)}
    names = {"nonfinite-activation", "nonfinite-loss", "nonfinite-gradient", "nonfinite-parameter"}
    assert {said[name] for name in names} == {"nonfinite-input"}
