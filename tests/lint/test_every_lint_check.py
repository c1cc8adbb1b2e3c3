"""What holds for every lint check that is found, whoever wrote it."""

import ast
import contextlib
import inspect
import random
import re
import subprocess
import sys

import pytest
from lint_corpus import files

from steadytrain import engine
from steadytrain.core.causes import CAUSES, UNKNOWN
from steadytrain.core.errors import UsageError
from steadytrain.core.finding import Severity
from steadytrain.lint import lint_check, lint_source
from steadytrain.lint._check import SECTIONS
from steadytrain.lint._linter import known_checks

CHECKS = known_checks()
SOURCES = [
    p.read_text(encoding="utf-8") for k in ("faulty", "healthy", "scripts") for p in files(k)
]
every_check = pytest.mark.parametrize("name", sorted(CHECKS))

REQUIRED = {
    "missing-zero-grad", "misplaced-zero-grad", "clip-before-unscale", "clip-after-step",
    "schedule-interval", "softmax-before-cross-entropy", "retained-loss", "accumulation-not-divided",
    "deprecated-amp", "eval-never-undone", "data-write", "optimizer-before-move",
    "nan-blind-comparison", "anomaly-detection-left-on",
}  # fmt: skip


def test_the_checks_that_were_promised_are_found():
    assert set(CHECKS) >= REQUIRED


@every_check
def test_speaks_alone_on_what_it_documents(name):
    found = lint_source(CHECKS[name].flagged)
    assert {finding.name for finding in found} == {name}


@every_check
def test_every_check_is_silent_on_what_is_documented_instead(name):
    assert lint_source(CHECKS[name].instead) == []


@every_check
def test_documents_every_section(name):
    assert [title for title in SECTIONS if not CHECKS[name].sections[title].strip()] == []
    assert CHECKS[name].summary.endswith(".")


def test_codes_are_unique_and_differ_from_those_of_rules():
    codes = [info.code for info in CHECKS.values()]
    families = {"DAT", "INI", "LOS", "NUM", "OPT", "PRE", "LOP"}
    assert len(set(codes)) == len(codes)
    assert not set(codes) & {info.code for info in engine.known_rules().values()}
    assert not set(codes) & {cause.code for cause in CAUSES.values()}
    assert {code[:3] for code in codes} <= families
    assert all(re.fullmatch(r"[A-Z]{3}1\d\d", code) for code in codes)


@every_check
def test_nominates_causes_of_the_vocabulary(name):
    spoken = {cause for finding in lint_source(CHECKS[name].flagged) for cause in finding.causes}
    assert CHECKS[name].causes
    assert spoken | set(CHECKS[name].causes) <= {*CAUSES, UNKNOWN}


@every_check
def test_says_in_few_words_what_to_do(name):
    for finding in lint_source(CHECKS[name].flagged):
        assert finding.message.endswith(".")
        assert 30 < len(finding.message) < 240
        assert "\n" not in finding.message


@every_check
def test_offers_a_fix_only_as_declared(name):
    fixes = [f.fix for f in lint_source(CHECKS[name].flagged) if f.fix is not None]
    assert {"safe" if fix.safe else "unsafe" for fix in fixes} <= {CHECKS[name].fix}
    assert bool(fixes) == (CHECKS[name].fix != "none")


@every_check
def test_points_into_the_text(name):
    text = CHECKS[name].flagged
    lines = text.splitlines()
    for finding in lint_source(text):
        assert 1 <= finding.line <= finding.end_line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1


@every_check
def test_reads_only_the_tree_and_imports_nothing_of_it(name):
    tree = ast.parse(inspect.getsource(inspect.getmodule(CHECKS[name].check)))
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not [m for m in modules if m and m.startswith(("torch", "importlib", "subprocess"))]


def test_severities_are_spread():
    severities = {info.severity for info in CHECKS.values()}
    assert severities == {Severity.NOTE, Severity.WARNING, Severity.CRITICAL}


def test_a_check_without_documentation_is_refused():
    def check(code):
        yield from ()

    with pytest.raises(UsageError, match="has no section What it sees"):
        lint_check(code="LOP199", causes=("unknown",))(check)


def test_linting_needs_no_torch():
    code = (
        "import sys; from steadytrain.lint import lint_source;"
        "lint_source('import torch\\ntorch.zeros(3)\\n'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


HOSTILE = [
    "", "\n", "x", "def f(a=(b := 1), *, c: 'x' = a): ...", "class A(A): pass\nA().x.y()\n",
    "def f(x): return f(f(x))\nmodel = f(f)\nfor i in model: model.step(model.zero_grad(f))\n",
    "a = b\nb = a\na.backward()\na.step()\n",
    "import torch\nx = x.y = x.z = x\nfor x.loss in x: x.loss.backward(); x.optimizer.step()\n",
    "class M(N):\n    def training_step(self): return self.training_step(self)\nclass N(M): pass\n",
    "from torch import *\nfor (a, *b), [c] in d: a.backward(), b.step()\n",
    "import torch\nwhile True:\n    loss = (lambda loss: loss)(loss)\n    loss.backward()\n    opt.step(lambda: loss)\n",
    "match x:\n    case [1, *y]:\n        y.backward()\n        optimizer.step()\n",
    "async def f():\n    async for x in y:\n        async with z as (a, b):\n            await a.step()\n",
    "import torch.nn as nn\nnn.Sequential(*[nn.Sequential()])(nn)\nnn.CrossEntropyLoss()()\n",
    "loss = total = 0\ntotal += total\ntotal.backward()\nself.x.backward(self)\n",
    "optimizer.step(); " * 200 + "\n",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_check_breaks_on_odd_code(text):
    assert [f.message for f in lint_source(text) if "Please report" in f.message] == []


def mutant(rng):
    """A file of the corpus with lines lost, doubled from elsewhere, and names exchanged."""
    lines = rng.choice(SOURCES).splitlines()
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(lines))
        if rng.random() < 0.4 and len(lines) > 2:
            del lines[at]
        elif rng.random() < 0.5:
            lines.insert(at, rng.choice(rng.choice(SOURCES).splitlines()))
        else:
            other = rng.choice(["loss", "self", "optimizer", "model.x", "f(x)"])
            lines[at] = lines[at].replace("model", other, 1)
    return "\n".join(lines)


def test_no_check_breaks_on_code_that_was_pulled_about():
    rng, num_read = random.Random(0), 0
    while num_read < 150:
        text = mutant(rng)
        with contextlib.suppress(SyntaxError):
            found = lint_source(text)
            num_read += 1
            assert [f.message for f in found if "Please report" in f.message] == [], text
