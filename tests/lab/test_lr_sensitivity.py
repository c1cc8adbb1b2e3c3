"""The sensitivity to the learning rate: its metric, its text, its model, its experiment."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from steadytrain import recipes
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.lab import LabSettings, find_experiment
from steadytrain.lab.lr.arms import BASELINE, RECIPE, arms, find_arm, peer_is_installed
from steadytrain.lab.lr.char_gpt import CharGPT, Size, Switches
from steadytrain.lab.lr.claims import claims
from steadytrain.lab.lr.curves import Curves, saved_share
from steadytrain.lab.lr.one_run import RunJob, RunRecord, run_job
from steadytrain.lab.lr.plan import QUICK, jobs, scale_for
from steadytrain.lab.lr.tables import rate_name, tables
from steadytrain.lab.lr.text import load_text
from steadytrain.optim.robust_clipping import RobustClip

SMALL = Size(width=16, layers=2, heads=2, context=8)
RATES = (1e-3, 1e-2, 1e-1)


def record(arm, seed, rate, last, first=4.0):
    job = RunJob(arm=arm, rate=rate, seed=seed, num_steps=1)
    return RunRecord(job=job, first_loss=first, last_loss=last)


def curves(**losses):
    """Curves from one row of losses per seed and configuration; `base` and `ours` for short."""
    names = {"base": BASELINE, "ours": RECIPE}
    return Curves.of(
        [
            record(names.get(arm, arm), seed, rate, loss)
            for arm, rows in losses.items()
            for seed, row in enumerate(rows)
            for rate, loss in zip(RATES, row, strict=True)
        ]
    )


def everything(base, ours, qk=((3.0, 2.0, 2.5),) * 2):
    return curves(base=base, ours=ours, **{"+ qk-norm": qk, "+ qk-norm, z-loss": qk})


def test_sensitivity_is_the_mean_minus_the_best():
    assert curves(base=[(3.0, 2.0, 2.5)]).sensitivity(BASELINE) == [0.5]


def test_a_poor_but_flat_curve_has_no_sensitivity_and_much_regret():
    both = curves(base=[(3.0, 2.0, 3.0)], ours=[(3.0, 3.0, 3.0)])
    assert both.sensitivity(RECIPE) == [0.0]
    assert both.regret(RECIPE) == [1.0]


def test_regret_is_taken_under_the_same_seed():
    both = curves(base=[(3.0, 2.0, 3.0), (3.0, 1.0, 3.0)], ours=[(3.0, 3.0, 3.0)] * 2)
    assert both.regret(RECIPE) == [1.0, 2.0]


@pytest.mark.parametrize("last", [math.nan, math.inf, 4.0, 9.0])
def test_a_diverged_run_counts_as_the_loss_at_initialisation(last):
    diverged = record(BASELINE, 0, 1e-1, last)
    assert diverged.has_diverged
    assert diverged.loss == 4.0


def test_records_may_come_in_any_order():
    records = [record(BASELINE, seed, rate, seed + rate) for seed in (0, 1) for rate in RATES]
    first, second = Curves.of(records), Curves.of(records[::-1])
    assert np.array_equal(first.losses[BASELINE], second.losses[BASELINE])


def test_a_second_valley_does_not_count_as_near_the_best():
    rows = curves(base=[(2.0, 3.0, 2.01)])
    assert rows.decades_within(BASELINE, 0.05) == 0.0
    assert curves(base=[(2.0, 2.02, 2.01)]).decades_within(BASELINE, 0.05) == pytest.approx(2.0)


def test_the_saved_share_is_of_the_reference():
    assert saved_share([0.1, 0.2], [0.4, 0.2]) == pytest.approx([0.75, 0.0])


def verdicts(made):
    return {claim.question: claim.verdict for claim in claims(made)}


def test_a_recipe_that_saves_too_little_is_contradicted():
    said = verdicts(everything(((3.0, 2.0, 3.0),) * 2, ((2.5, 2.0, 2.5),) * 2))
    assert said["How much lower is the recipe's sensitivity than the baseline's?"] == "contradicted"


def test_a_flat_and_low_recipe_holds():
    said = verdicts(everything(((3.0, 2.0, 3.0),) * 2, ((2.0, 2.0, 2.1),) * 2))
    assert said["How much lower is the recipe's regret than the baseline's?"] == "holds"
    assert said["Does the recipe pay for it with its best loss?"] == "holds"


def test_a_recipe_with_a_worse_best_loss_is_told_so():
    said = verdicts(everything(((3.0, 2.0, 3.0),) * 2, ((2.3, 2.3, 2.3), (2.31, 2.31, 2.31))))
    assert said["Does the recipe pay for it with its best loss?"] == "contradicted"


def test_one_seed_shows_nothing():
    one = everything(((3.0, 2.0, 3.0),), ((2.0, 2.0, 2.1),), qk=((2.0, 2.0, 2.0),))
    assert set(verdicts(one).values()) == {"not shown"}


def test_the_text_is_the_same_in_every_process_and_says_that_it_is_generated():
    load_text.cache_clear()
    first = load_text(None)
    load_text.cache_clear()
    assert np.array_equal(first.train, load_text(None).train)
    assert "generated" in first.line
    assert len(first.train) > 200_000


def test_a_folder_with_a_text_is_read_and_named(tmp_path):
    folder = tmp_path / "plays"
    folder.mkdir()
    (folder / "input.txt").write_text("abc déf\n" * 2000, encoding="utf-8")
    text = load_text(folder)
    assert text.line.startswith("plays (input.txt): 14,400 training and 1,600 validation")
    assert "".join(text.vocabulary[n] for n in text.train[:8]) == "abc déf\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "has no input.txt"), (b"short", "at least 10,000"), (b"\xff" * 20_000, "not UTF-8")],
)
def test_a_folder_without_a_usable_text_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "input.txt").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        load_text(tmp_path)


def test_a_folder_that_is_not_there_fails_before_a_result_is_written(tmp_path):
    settings = LabSettings(out=tmp_path / "out", data=tmp_path / "none", quick=True)
    with pytest.raises(UsageError, match="is not a folder"):
        find_experiment("lr-sensitivity").run(settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("placement", ["pre", "post", "reordered", "sandwich"])
def test_no_position_sees_what_comes_after_it(placement):
    torch.manual_seed(0)
    model = CharGPT(11, SMALL, Switches(placement=placement, qk_norm=True))
    numbers = torch.randint(11, (2, 8))
    changed = numbers.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 11
    assert torch.allclose(model(numbers)[:, :5], model(changed)[:, :5], atol=1e-6)
    assert not torch.allclose(model(numbers)[:, 5:], model(changed)[:, 5:], atol=1e-3)


def test_positions_matter():
    torch.manual_seed(0)
    model = CharGPT(11, SMALL, Switches())
    logits = model(torch.tensor([[1, 2, 3, 4], [2, 1, 3, 4]]))
    assert not torch.allclose(logits[0, -1], logits[1, -1], atol=1e-4)


def test_zero_outputs_leave_the_embedding_alone_at_first():
    torch.manual_seed(0)
    model = CharGPT(11, SMALL, Switches(zero_output=True))
    numbers = torch.randint(11, (2, 8))
    assert torch.allclose(model(numbers), model.head(model.norm(model.embedding(numbers))))


def test_every_matrix_of_the_recipe_is_scale_free():
    torch.manual_seed(0)
    model = find_arm(RECIPE).build(11, SMALL)
    numbers = torch.randint(11, (2, 8))
    before = model(numbers)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(7.0)
    assert torch.allclose(model(numbers), before, atol=1e-4)


def test_the_cap_bounds_the_logits_and_the_z_loss_sees_through_it():
    torch.manual_seed(0)
    model = CharGPT(11, SMALL, Switches(soft_cap=0.1))
    numbers = torch.randint(11, (2, 8))
    assert (model(numbers).abs() <= 0.1).all()
    assert (model.uncapped(numbers).abs() > 0.1).any()


def test_decay_takes_off_the_same_share_whatever_the_rate_is():
    for rate in (1e-3, 1e-1):
        model = find_arm(BASELINE).build(11, SMALL)
        optimizer = find_arm(BASELINE).optimizer(model, rate)
        before = [p.detach().clone() for p in model.parameters()]
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        for old, new in zip(before, model.parameters(), strict=True):
            share = 1e-4 if new.ndim > 1 else 0.0
            assert torch.allclose(new, old * (1 - share), atol=1e-7)


def test_every_parameter_is_trained_once():
    model = find_arm(RECIPE).build(11, SMALL)
    groups = find_arm(RECIPE).optimizer(model, 0.1).param_groups
    trained = [id(p) for group in groups for p in group["params"]]
    assert sorted(trained) == sorted(id(p) for p in model.parameters())
    assert [group["lr"] for group in groups] == pytest.approx([0.1, 0.03])


def test_what_is_measured_is_what_the_recipe_for_transformers_says():
    plan, arm = recipes.transformer(), find_arm(RECIPE)
    optimizer = arm.optimizer(arm.build(11, SMALL), plan.optimizer.lr)
    assert optimizer.defaults["betas"] == plan.optimizer.betas
    assert (arm.eps, arm.weight_decay) == (plan.optimizer.eps, plan.optimizer.weight_decay)
    assert (arm.switches.stored_rms, arm.gain_rate) == (plan.stored_rms, plan.vector_ratio)
    clip = arm.clip()
    assert plan.clip.name == "robust"
    assert isinstance(clip, RobustClip)
    assert clip.warmup_max_norm == plan.clip.max_norm


def test_every_run_clips_with_statistics_of_its_own():
    arm = find_arm(RECIPE)
    assert arm.clip() is not arm.clip()


def test_the_same_job_gives_the_same_bits_and_leaves_the_generator_alone():
    job = RunJob(arm=RECIPE, rate=1e-2, seed=3, num_steps=3, size=SMALL)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert run_job(job) == run_job(job)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_run_that_becomes_non_finite_has_diverged(monkeypatch):
    arm = find_arm(BASELINE)
    monkeypatch.setattr(
        type(arm), "loss", lambda *parts: torch.tensor(math.nan) * parts[1].head.weight.sum()
    )
    assert run_job(RunJob(arm=BASELINE, rate=1e-2, seed=0, num_steps=2, size=SMALL)).has_diverged


def test_training_lowers_the_loss():
    done = run_job(RunJob(arm=RECIPE, rate=1e-2, seed=0, num_steps=40, size=SMALL))
    assert done.last_loss < done.first_loss - 0.5


def test_an_unknown_configuration_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="recipe"):
        find_arm("recipes")


def test_the_peer_is_an_arm_only_where_it_is_installed():
    is_there = any(name.startswith("x-transformers") for name in arms())
    assert is_there == peer_is_installed()


def test_a_missing_peer_is_said_in_the_table(monkeypatch):
    for is_there in (True, False):
        monkeypatch.setattr("steadytrain.lab.lr.tables.peer_is_installed", lambda: is_there)  # noqa: B023
        note = tables(curves(base=[(3.0, 2.0, 2.5)]))[0].note
        assert ("x-transformers is not installed" in note) != is_there


def test_no_run_is_made_twice_and_each_seed_is_finished_before_the_next(tmp_path):
    settings = LabSettings(out=tmp_path)
    made = jobs(scale_for(settings, load_text(None)), settings)
    assert len({(job.arm, job.rate, job.seed) for job in made}) == len(made)
    assert [job.seed for job in made] == sorted(job.seed for job in made)
    assert len(made) == 7 * 3 * len(arms())


def test_epochs_are_passes_over_the_text(tmp_path):
    text = load_text(None)
    settings = LabSettings(out=tmp_path, epochs=1.0)
    per_step = 16 * 32
    assert scale_for(settings, text).num_steps == round(len(text.train) / per_step)
    assert scale_for(LabSettings(out=tmp_path, quick=True), text) == QUICK


@pytest.mark.parametrize(("rate", "name"), [(3e-4, "3e-4"), (1e-1, "1e-1"), (1.0, "1e0")])
def test_rates_are_written_as_people_write_them(rate, name):
    assert rate_name(rate) == name


def test_every_module_is_in_train_mode_after_the_first_evaluation(monkeypatch):
    seen = []
    real = nn.Module.train

    def train(self, mode=True):
        seen.append(mode)
        return real(self, mode)

    monkeypatch.setattr(CharGPT, "train", train)
    run_job(RunJob(arm=BASELINE, rate=1e-2, seed=0, num_steps=1, size=SMALL))
    assert seen == [False, True, False, True]
