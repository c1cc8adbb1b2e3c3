"""The page as a file: whole, self-contained, and closed against what it shows."""

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_runs import (
    HOSTILE,
    diverged,
    finding,
    four_runs,
    healthy,
    hostile,
    huge,
    lab_page,
    run_of,
    saved,
)

from steadytrain.core.errors import RunNotFoundError, StoreError, UsageError
from steadytrain.core.history import History
from steadytrain.engine import BROKEN_RULE, known_rules
from steadytrain.report.embed import json_element, page
from steadytrain.report.html import MAX_RUNS, report_contents, write_report
from steadytrain.store.reader import SavedRun


class Elements(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = [(n, v) for n, v in attrs if "Content-Security" not in (v or "") and n != "content"]
        self.found.append((tag, tuple(kept)))


def written(runs: list[SavedRun], tmp_path: Path) -> str:
    return write_report(runs, tmp_path / "page.html").read_text(encoding="utf-8")


def data_of(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_hostile_names_add_no_element_and_no_attribute(tmp_path: Path) -> None:
    assert (
        Elements(written([hostile()], tmp_path)).found
        == Elements(written([saved()], tmp_path)).found
    )


def test_the_data_comes_back_whole_and_visible(tmp_path: Path) -> None:
    (run,) = data_of(written([hostile()], tmp_path))["runs"]
    assert run["name"] == HOSTILE[0]
    assert [f["site"] for f in run["findings"]][6:8] == [
        "\\x1b[31mred\\x1b[0m\\x07",
        "abc\\u202egpj.exe\\u2066",
    ]


def test_a_name_of_a_megabyte_does_not_make_the_page_a_megabyte_longer(tmp_path: Path) -> None:
    assert len(written([hostile()], tmp_path)) - len(written([saved()], tmp_path)) < 500_000


def test_places_of_the_template_in_the_data_are_not_filled_in(tmp_path: Path) -> None:
    text = written([saved(meta={"name": "{{style}}{{policy}}{{7*7}}"})], tmp_path)
    assert data_of(text)["runs"][0]["name"] == "{{style}}{{policy}}{{7*7}}"


def test_json_in_a_script_element_holds_no_markup_character() -> None:
    text = json_element({"</script>": "<!--&\u2028\u2029"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"</script>": "<!--&\u2028\u2029"}


def test_the_policy_allows_no_script_but_our_own() -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page({}))
    assert policy
    parts = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert parts["default-src"] == "'none'"
    assert re.fullmatch(r"('sha256-[\w+/=]+' ?){2}", parts["script-src"])
    assert "unsafe" not in parts["style-src-elem"]
    assert parts["img-src"] == "data: blob:"


def test_the_page_asks_for_nothing_outside_itself(tmp_path: Path) -> None:
    for tag, attributes in Elements(written([diverged()], tmp_path)).found:
        for name, value in attributes:
            assert name not in ("src", "srcset", "action"), tag
            assert name != "href" or (value or "").startswith(("#", "data:,")), tag


def test_every_rule_that_spoke_has_its_page(tmp_path: Path) -> None:
    rules = {page["name"]: page for page in report_contents([diverged()])["rules"]}
    assert set(rules) == {"exploding-gradient", "nonfinite-loss", "nonfinite-gradient"}
    for name, rule in rules.items():
        headings = [block["text"] for block in rule["blocks"] if block["kind"] == "heading"]
        assert headings == list(known_rules()[name].sections)


def test_a_rule_that_is_not_installed_and_a_broken_one_are_told_apart() -> None:
    run = saved(findings=[finding(rule="of-another-package"), finding(rule=BROKEN_RULE)])
    broken, other = report_contents([run])["rules"]
    assert "muted" in broken["summary"]
    assert "not installed" in other["summary"]


@pytest.mark.parametrize("make", [healthy, diverged, hostile, huge, lab_page, saved])
def test_every_kind_of_run_can_be_written(make, tmp_path: Path) -> None:
    contents = data_of(written([make()], tmp_path))
    assert len(contents["runs"]) + len(contents["experiments"]) >= 1


def test_an_experiment_stands_apart_from_the_runs_it_is_about() -> None:
    contents = report_contents([lab_page(), *four_runs()])
    assert [run["name"] for run in contents["runs"]] == [
        "no norm",
        "batch norm",
        "layer norm",
        "no norm, lr x 100",
    ]
    assert contents["experiments"][0]["claims"][2]["verdict"] == "contradicted"


def test_what_is_missing_from_an_experiment_is_said_too() -> None:
    experiment = lab_page()
    experiment.missing = ["One seed is missing."]
    assert report_contents([experiment])["missing"] == ["One seed is missing."]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0, 5e-324, 1.7e308])
def test_any_value_can_be_measured(value: float, tmp_path: Path) -> None:
    history = History({"parameter": ["a"], "module": ["m"], "group": ["g"]}, capacity=None)
    stats = (
        "loss",
        "grad_norm_total",
        "grad_norm",
        "update_ratio",
        "act_rms",
        "learning_rate",
        "loss_num_nonfinite",
        "validation_metric",
    )
    for step in range(3):
        for stat in stats:
            history.append(step, stat, value)
    assert data_of(written([saved(history=history)], tmp_path))


def test_many_runs_share_the_room_of_the_page(tmp_path: Path) -> None:
    run = run_of(1500, parameters=[f"p{i}" for i in range(300)], modules=[])
    alone = report_contents([run])["runs"][0]
    shared = report_contents([run] * 12)["runs"][0]
    for stat in ("loss", "grad_norm_total"):
        assert len(shared["lines"][stat]["x"]["f8"]) < len(alone["lines"][stat]["x"]["f8"]) / 2
    assert len(shared["maps"][0]["cells"]["f4"]) < len(alone["maps"][0]["cells"]["f4"]) / 3


def test_what_was_left_out_of_a_picture_is_counted() -> None:
    (run,) = report_contents([huge(1000, 30)])["runs"]
    picture = run["maps"][0]
    assert picture["num_sites"] == sum(picture["each"]) == 1000
    assert len(picture["rows"]) == 240
    assert run["parameters"]["num"] == 1000


def test_the_spread_is_taken_at_the_named_steps_of_a_long_run() -> None:
    history = History({"parameter": ["a", "b"]}, capacity=None)
    for step in range(0, 2500, 10):
        history.append(step, "grad_norm", [1.0, np.nan])
    (run,) = report_contents([saved(history=history)])["runs"]
    assert [at["step"] for at in run["spread"]] == [100, 500, 2000]


def test_the_spread_of_a_broken_run_ends_where_its_gradients_do() -> None:
    (run,) = report_contents([diverged()])["runs"]
    assert run["spread"][-1]["step"] == 311


def test_secrets_users_and_home_directories_do_not_travel(tmp_path: Path) -> None:
    meta = {
        "api_key": "sk-1",
        "data": str(Path.home() / "data"),
        "optimizer": {"lr": 0.1},
        "env": {"HOSTNAME": "box", "user": "eve"},
    }
    lines = dict(report_contents([saved(meta=meta)])["runs"][0]["settings"])
    assert lines["data"] == "~/data"
    assert lines["optimizer.lr"] == "0.1"
    assert not {"sk-1", "box", "eve"} & set(lines.values())


def test_the_report_goes_into_the_first_run_unless_told_otherwise(tmp_path: Path) -> None:
    assert write_report([saved(path=tmp_path)]) == tmp_path / "report.html"
    assert write_report([saved(path=tmp_path)], tmp_path / "new" / "r.html").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "report.html"]


@pytest.mark.parametrize("count", [0, MAX_RUNS + 1])
def test_a_wrong_number_of_runs_is_refused_by_name(count: int) -> None:
    with pytest.raises(UsageError, match=f"1 to {MAX_RUNS} runs, got {count}"):
        write_report([saved()] * count)


def test_a_path_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunNotFoundError):
        write_report([tmp_path / "nothing"])


def test_a_place_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="another place"):
        write_report([saved()], tmp_path / "file" / "report.html")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_room_imports_no_torch_and_loads_plotly_and_rich_late() -> None:
    code = (
        "import sys, steadytrain.report.html, steadytrain.report.terminal; "
        "print(sorted({'torch', 'plotly', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
