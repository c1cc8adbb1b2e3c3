import json
import re

import pytest

from steadytrain.lint._linter import known_checks

WRONG = "import torch.nn.functional as F\np = F.softmax(x)\n"
NOTE = "import torch\nscaler = torch.cuda.amp.GradScaler()\n"


@pytest.fixture
def written(tmp_path):
    def write(text, name="train.py"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write


def test_one_line_per_finding_in_the_shape_people_know(steadytrain, written):
    done = steadytrain("lint", written(WRONG))
    assert done.status == 1
    assert re.fullmatch(r"train\.py:2:5: LOS104 \[softmax-without-dim\] .+\.\n", done.out)
    assert "1 file: 1 finding." in done.err


def test_nothing_wrong_is_status_0_and_an_empty_stdout(steadytrain, written):
    done = steadytrain("lint", written("x = 1\n"))
    assert (done.status, done.out) == (0, "")


def test_without_paths_the_current_folder_is_linted(steadytrain, written):
    written(WRONG)
    assert "softmax-without-dim" in steadytrain("lint").out


@pytest.mark.parametrize(
    ("fail_on", "status"), [("note", 1), ("warning", 0), ("critical", 0), ("never", 0)]
)
def test_notes_fail_only_where_they_are_asked_to(steadytrain, written, fail_on, status):
    assert steadytrain("lint", written(NOTE), "--fail-on", fail_on).status == status


def test_json_is_one_document(steadytrain, written):
    done = steadytrain("lint", written(WRONG), "--json")
    assert done.json["num_files"] == 1
    assert done.json["findings"][0]["name"] == "softmax-without-dim"
    assert done.json["problems"] == []


def test_github_gets_workflow_commands(steadytrain, written):
    out = steadytrain("lint", written(WRONG, "a,b.py"), "--format", "github").out
    assert out.startswith(
        "::warning title=steadytrain LOS104 softmax-without-dim,file=a%2Cb.py,line=2,"
    )


def test_sarif_has_the_rules_the_results_and_their_places(steadytrain, written):
    document = steadytrain("lint", written(WRONG, "a b.py"), "--format", "sarif").json
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    (result,) = run["results"]
    assert document["version"] == "2.1.0"
    assert len(rules) == len(known_checks())
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "LOS104"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b.py"
    assert place["region"] == {"startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 17}


def test_sarif_says_what_could_not_be_read(steadytrain, written):
    done = steadytrain("lint", written("for x in\n"), "--format", "sarif")
    (invocation,) = done.json["runs"][0]["invocations"]
    assert done.status == 2
    assert invocation["executionSuccessful"] is False
    assert "is not Python" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_a_file_that_does_not_parse_is_status_2_and_the_rest_is_linted(steadytrain, written):
    written(WRONG)
    written("for x in\n", "bad.py")
    done = steadytrain("lint", ".")
    assert done.status == 2
    assert "bad.py:1: is not Python" in done.err
    assert "Traceback" not in done.err
    assert "softmax-without-dim" in done.out


def test_a_path_that_is_not_there_is_status_2(steadytrain):
    done = steadytrain("lint", "absent.py")
    assert done.status == 2
    assert "absent.py: there is nothing here" in done.err


def test_select_ignore_and_exclude(steadytrain, written):
    written(WRONG)
    assert steadytrain("lint", "--select", "LOP,PRE").status == 0
    assert steadytrain("lint", "--ignore", "LOS104").status == 0
    assert steadytrain("lint", "--exclude", "train*").status == 0
    assert steadytrain("lint", "--select", "LOS").status == 1


def test_an_unknown_name_is_status_2_and_suggests_the_nearest(steadytrain):
    done = steadytrain("lint", "--select", "doble-step")
    assert done.status == 2
    assert "Did you mean double-step" in done.err


def test_the_configuration_is_read_and_the_options_stand_before_it(steadytrain, written):
    written(WRONG)
    written('[tool.steadytrain.lint]\nignore = ["LOS104"]\n', "pyproject.toml")
    assert steadytrain("lint").status == 0
    assert steadytrain("lint", "--ignore", "double-step").status == 1
    written('[tool.steadytrain.lint]\nexclude = ["train.py"]\n', "pyproject.toml")
    assert steadytrain("lint").status == 0
    written('[tool.steadytrain.lint.per-file-ignores]\n"train*" = ["LOS"]\n', "pyproject.toml")
    assert steadytrain("lint").status == 0
    written('[tool.steadytrain.lint]\nfail-on = "critical"\n', "pyproject.toml")
    assert steadytrain("lint").status == 0
    written('[tool.steadytrain]\nfail-on = "never"\n', "pyproject.toml")
    assert steadytrain("lint").status == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[tool.steadytrain.lint]\nignor = ["LOP"]\n', "unknown key 'ignor'"),
        ('[tool.steadytrain.lint]\nignore = ["XYZ"]\n', "unknown lint check 'XYZ'"),
        ("[tool.steadytrain.lint]\nexclude = 3\n", "lint.exclude: found 3"),
        ('[tool.steadytrain.lint.per-file-ignores]\n"*" = ["XYZ"]\n', "unknown lint check 'XYZ'"),
        ('[tool.steadytrain.lint.per-file-ignores]\n"*" = 3\n', "per-file-ignores.*: found 3"),
        ("[tool.steadytrain]\nlint = 3\n", "lint: found 3, expected a table"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_status_2(steadytrain, written, text, says):
    written(text, "pyproject.toml")
    done = steadytrain("lint")
    assert done.status == 2
    assert says in done.err


def test_fix_rewrites_and_says_how_much(steadytrain, written, tmp_path):
    done = steadytrain("lint", written(NOTE), "--fix")
    assert "1 fixed." in done.err
    assert (tmp_path / "train.py").read_text() == NOTE.replace(
        "cuda.amp.GradScaler()", 'amp.GradScaler("cuda")'
    )
    assert (done.status, done.out) == (0, "")
    assert "nothing to fix" in steadytrain("lint", "train.py", "--fix").err


def test_without_fix_no_file_is_touched(steadytrain, written, tmp_path):
    steadytrain("lint", written(NOTE))
    assert (tmp_path / "train.py").read_text() == NOTE


def test_a_path_that_would_act_on_the_terminal_is_only_shown(steadytrain, written):
    assert "\x1b" not in steadytrain("lint", written(WRONG, "\x1b[2Ja.py")).out


@pytest.mark.parametrize("name", ["softmax-without-dim", "LOS104", "los104"])
def test_a_check_is_explained_by_name_and_code(steadytrain, name):
    done = steadytrain("explain", name)
    assert done.status == 0
    for heading in ("What it sees", "Flagged", "Use instead", "What to do", "Source"):
        assert heading in done.out


def test_a_check_and_the_cause_of_its_name_are_both_explained(steadytrain):
    entries = steadytrain("explain", "missing-zero-grad", "--json").json["entries"]
    assert [entry["kind"] for entry in entries] == ["lint", "cause"]


def test_rules_lists_the_checks(steadytrain):
    listed = steadytrain("rules", "--json").json["lint"]
    assert {check["name"] for check in listed} == set(known_checks())
    assert "softmax-without-dim" in steadytrain("rules").out


def test_the_hook_runs_a_command_that_exists():
    from pathlib import Path

    import steadytrain
    from steadytrain.cli._group import group

    text = (Path(steadytrain.__file__).parents[2] / ".pre-commit-hooks.yaml").read_text()
    entry = re.search(r"entry: (.+)", text)[1].split()
    assert entry[0] == "steadytrain"
    assert entry[1] in group.list_commands(None)
    assert json.dumps(entry)
