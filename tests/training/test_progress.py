"""The bar shows what was measured, rarely, and only to a person."""

import io

import pytest
import torch
from training_programs import make_program

from steadytrain.core.history import History
from steadytrain.training import bar
from steadytrain.training.bar import Bar, Terminal
from steadytrain.training.progress import Silence, describe, make_display


def history_of(**stats):
    history = History()
    for stat, value in stats.items():
        history.append(0, stat, value)
    return history


def test_names_loss_norm_rate_and_speed():
    text = describe(history_of(loss=2.5, grad_norm_total=0.25, loss_num_nonfinite=0), 1e-3, 40)
    assert text == "loss 2.5  grad norm 0.25  lr 0.001  40 steps/s"


def test_does_not_hide_a_loss_that_is_not_finite():
    assert "loss not finite" in describe(history_of(loss=2.5, loss_num_nonfinite=1), 1e-3, 40)


def test_shows_what_is_known_before_the_first_flush():
    assert describe(History(), 1e-3, 40) == "lr 0.001  40 steps/s"


def test_is_silent_where_nobody_looks(capsys):
    assert isinstance(make_display(True, 0, 5), Silence)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def terminal():
    return Terminal(file=io.StringIO(), force_terminal=True, width=100)


def test_writes_at_a_bounded_rate(terminal, monkeypatch):
    clock = iter([0.0] + [0.01 * n for n in range(200)] + [3.0])
    monkeypatch.setattr(bar, "monotonic", lambda: next(clock))
    drawn, program = [], make_program()
    display = Bar(0, 200, terminal)
    monkeypatch.setattr(display._bar, "update", lambda *_, **fields: drawn.append(fields))
    for program.step in range(200):
        display.update(program, History())
    assert len(drawn) == 10
    display.update(program, History(), last=True)
    display.close()
    assert len(drawn) == 11


def test_shows_the_last_step_and_what_is_said(terminal):
    program = make_program()
    display = Bar(0, 5, terminal)
    program.step = 5
    display.say("continued from [b]step-5[/b]")
    display.update(program, history_of(loss=1.5), last=True)
    display.close()
    text = terminal.file.getvalue()
    assert "5/5" in text
    assert "loss 1.5" in text
    assert "continued from [b]step-5[/b]" in text


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "Input/output error")])
def test_a_terminal_that_goes_away_does_not_end_training(terminal, error):
    written = []

    def gone(text):
        written.append(text)
        raise error

    program = make_program()
    display = Bar(0, 5, terminal)
    terminal.file.write = gone
    for program.step in range(5):
        display.update(program, History(), last=True)
    display.say("still here")
    display.close()
    assert written


def test_reads_a_learning_rate_that_is_a_tensor(terminal):
    program = make_program()
    program.optimizer.param_groups[0]["lr"] = torch.tensor(0.125)
    display = Bar(0, 5, terminal)
    display.update(program, History(), last=True)
    display.close()
    assert "lr 0.125" in terminal.file.getvalue()
