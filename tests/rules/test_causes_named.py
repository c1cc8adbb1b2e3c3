"""What a finding nominates first, where the same symptom has several causes."""

from __future__ import annotations

import numpy as np

from steadytrain.core.finding import Severity
from steadytrain.core.history import History
from steadytrain.core.ranking import rank
from steadytrain.engine import judge, make_rules
from steadytrain.rules._blame import blame


def said(history: History, name: str):
    return judge(history, make_rules([name]))


def nonfinite_loss(**made_of: float) -> History:
    history = History()
    for kind in ("logs", "exps", "roots", "quotients"):
        history.append(0, f"loss_num_{kind}", made_of.get(kind, 0.0))
    history.append(5, "loss_num_nonfinite", 1.0)
    history.append(5, "loss_num_nan", 1.0)
    return history


def test_a_nan_of_a_loss_with_a_logarithm_is_put_on_it():
    assert blame(nonfinite_loss(logs=1.0, quotients=1.0), 5).causes[0] == "log-of-zero"


def test_a_nan_of_a_loss_with_an_exponential_alone_is_put_on_it():
    assert blame(nonfinite_loss(exps=1.0), 5).causes[0] == "exp-overflow"


def test_an_exponential_comes_before_a_logarithm_where_its_argument_is_large():
    history = nonfinite_loss(exps=1.0, logs=1.0)
    history.append(4, "act_max", [200.0], ["head"])
    assert blame(history, 5).causes[:2] == ("exp-overflow", "log-of-zero")


def test_a_division_is_blamed_where_nothing_else_stands_next_to_the_loss():
    assert blame(nonfinite_loss(quotients=1.0), 5).causes[0] == "div-by-zero"


def test_an_optimizer_with_tensors_of_another_model_is_called_stale():
    history = History()
    names = ["a.weight", "b.weight", "optimizer0.group0.0"]
    history.append(0, "in_optimizer", [0.0, 1.0, 1.0], names)
    [finding] = said(history, "untrained-parameter")
    assert finding.causes[0] == "stale-optimizer-params"


def test_a_parameter_that_was_left_out_does_not_make_the_optimizer_stale():
    history = History()
    history.append(0, "in_optimizer", [0.0, 1.0], ["a.weight", "b.weight"])
    [finding] = said(history, "untrained-parameter")
    assert finding.causes[0] == "params-not-in-optimizer"


def moved(ratios: list[float], **first: float) -> History:
    history = History()
    for stat, value in first.items():
        history.append(0, stat, value)
    for step, ratio in enumerate(ratios):
        history.append(step, "update_ratio", [ratio] * 2, ["a.weight", "b.weight"])
    return history


def test_one_long_step_after_calm_ones_is_put_on_its_batch():
    [finding] = said(moved([0.001] * 30 + [0.6]), "update-ratio-too-large")
    assert finding.causes[0] == "bad-batch"


def test_long_steps_without_a_clip_that_follow_the_gradient_call_for_one():
    history = moved([0.01, 0.6, 0.02, 2.5])
    assert said(history, "update-ratio-too-large")[0].causes[0] == "missing-grad-clip"


def test_long_steps_at_once_are_put_on_the_rate():
    assert said(moved([0.6] * 4), "update-ratio-too-large")[0].causes[0] == "lr-too-high"


def test_long_steps_of_a_loss_far_above_guessing_are_put_on_a_sum():
    history = moved([0.6] * 4, loss=2000.0)
    assert said(history, "update-ratio-too-large")[0].causes[0] == "loss-reduction"


def test_a_loss_that_one_batch_lifted_is_put_on_the_batch():
    history = History()
    for step in range(220):
        lifted = step >= 200
        history.append(step, "loss", 9.0 if lifted else 1.0 + 0.001 * (step % 3))
        history.append(step, "grad_norm_total", 500.0 if step == 200 else 1.0)
    finding = said(history, "divergence")[0]
    assert finding.causes[0] == "bad-batch"


def test_findings_that_say_the_same_of_one_step_count_once():
    history = nonfinite_loss(logs=1.0)
    history.append(5, "grad_num_nonfinite", [3.0], ["a.weight"])
    findings = judge(history)
    alone = [one for one in findings if one.rule == "nonfinite-loss"]
    assert len(findings) > 1
    assert rank(findings) == rank(alone)


def test_memory_that_doubles_is_a_warning_though_the_steps_are_no_longer():
    history = History()
    for step in range(0, 200, 10):
        history.append(step, "memory_bytes", 1e9 * (1 + step / 200))
        history.append(step, "step_seconds", 0.1)
    assert said(history, "memory-growth")[-1].severity == Severity.WARNING


def test_memory_measured_ever_more_often_grows_no_slower_for_that():
    history = History()
    for step in [*range(0, 40, 10), *range(40, 60)]:
        history.append(step, "memory_bytes", 1e9 * (1 + step / 400))
        history.append(step, "step_seconds", 0.1 * (1 + step / 10))
    assert said(history, "memory-growth")[-1].severity == Severity.WARNING


def test_a_decay_that_forgets_everything_is_a_warning_though_the_loss_falls():
    names = ["a.weight", "b.weight", "c.weight"]
    history = History()
    history.append(0, "decoupled_decay", [100.0, 0.01, 0.01], names)
    for step in range(60):
        history.append(step, "loss", float(np.exp(-step / 20)))
        history.append(step, "learning_rate", [0.001], ["group0"])
        history.append(step, "grad_rms", [0.1] * 3, names)
        history.append(step, "grad_norm", [10.0] * 3, names)
        history.append(step, "param_norm", [1.0] * 3, names)
    finding = said(history, "decay-too-strong")[0]
    assert (finding.severity, finding.causes[0]) == (Severity.WARNING, "weight-decay-misapplied")


def test_long_steps_over_many_backward_passes_may_be_a_sum_of_them():
    history = moved([0.6] * 4)
    for step in range(4):
        history.append(step, "num_microbatches", 16.0)
    assert said(history, "update-ratio-too-large")[0].causes[0] == "accum-not-divided"


def ran_away(first: float, group: str) -> History:
    history = History()
    for step in range(40):
        history.append(step, "loss", first if step < 2 else 2.9 * first)
        history.append(step, "learning_rate", [0.1], [group])
    return history


def test_a_loss_that_rises_at_once_and_stays_has_diverged():
    [finding] = said(ran_away(2.0, "group0"), "early-divergence")
    assert (finding.step, finding.causes[0]) == (30, "lr-too-high")


def test_a_loss_of_thousands_that_rises_at_once_is_put_on_its_scale():
    assert said(ran_away(5000.0, "group0"), "early-divergence")[0].causes[0] == "reward-scale"


def test_a_rise_of_one_player_is_only_noted():
    names = ["optimizer0.group0", "optimizer1.group0"]
    history = History()
    for step in range(300):
        level = 0.6 if step < 200 else 0.9
        history.append(step, "loss", level + 0.01 * (step % 5))
        history.append(step, "learning_rate", [0.1, 0.1], names)
    findings = said(history, "divergence")
    assert findings
    assert all(finding.severity == Severity.NOTE for finding in findings)


def standing(ratio: float, clip: float | None) -> History:
    names = ["a.weight", "b.weight"]
    history = History()
    history.append(0, "in_optimizer", [1.0, 1.0], names)
    for step in range(70):
        history.append(step, "grad_norm", [1.0, 1.0], names)
        history.append(step, "update_norm", [0.0, ratio], names)
        history.append(step, "update_ratio", [0.0, ratio], names)
        if clip is not None:
            history.append(step, "clip_coefficient", clip)
    return history


def test_updates_that_are_all_tiny_are_put_on_the_rate_or_the_clip():
    assert said(standing(1e-7, None), "untrained-parameter")[0].causes[0] == "lr-too-low"
    assert said(standing(1e-7, 1e-5), "untrained-parameter")[0].causes[0] == "clip-too-tight"


def test_one_parameter_that_stands_among_others_that_move_is_frozen():
    assert said(standing(1e-3, None), "untrained-parameter")[0].causes[0] == "frozen-params"


def test_an_output_that_is_zero_throughout_is_put_on_its_activation():
    history = History()
    for step in (0, 10):
        history.append(step, "act_rms", [1.0, 1.0], ["hidden", "output"])
        history.append(step, "dead_fraction", [0.0, 1.0], ["hidden", "output"])
    assert said(history, "dead-units")[0].causes[0] == "output-activation-mismatch"
