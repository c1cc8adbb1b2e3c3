"""The pages that the code writes about itself, and the committed tables of what was measured.

They exist only while the documentation is built; there is no copy that could fall behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from steadytrain import _HOMES, __all__
from steadytrain.checks._registry import known_checks
from steadytrain.cli._check_pages import check_page
from steadytrain.cli._lint_pages import lint_page
from steadytrain.cli._pages import cause_page, rule_page, technique_page
from steadytrain.core.answer import STAGES
from steadytrain.core.causes import CAUSES
from steadytrain.core.stats import STATS
from steadytrain.core.technique import known_techniques
from steadytrain.engine import known_rules
from steadytrain.lint._linter import known_checks as known_lint_checks

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

RESULTS = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("*.md"))
"""The committed tables of what was measured."""


def on_config(config: MkDocsConfig) -> None:
    """The generated pages stand at the end of the navigation."""
    rules = [{"All rules": "rules/index.md"}, *(f"rules/{name}.md" for name in known_rules())]
    prevention = [
        {"All techniques": "techniques/index.md"},
        *(f"techniques/{name}.md" for name in sorted(known_techniques())),
    ]
    causes = [{"All causes": "causes/index.md"}, *(f"causes/{name}.md" for name in CAUSES)]
    config.nav = [
        *config.nav,
        {"Prevention": prevention},
        {"Rules": rules},
        {"Preflight": ["checks/index.md", *(f"checks/{name}.md" for name in known_checks())]},
        {"Checks of code": ["lint/index.md", *(f"lint/{name}.md" for name in known_lint_checks())]},
        {"Statistics": "statistics.md"},
        {"Causes": causes},
        {"Python": "python.md"},
        {"Measured": [f"measured/{path.name}" for path in RESULTS]},
    ]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """The generated pages are among the files."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))


def pages() -> dict[str, str]:
    """Every generated page by its path."""
    made = {f"rules/{name}.md": rule_page(info) for name, info in known_rules().items()}
    made["rules/index.md"] = _rules()
    made |= {f"techniques/{name}.md": _technique(name) for name in known_techniques()}
    made["techniques/index.md"] = _techniques()
    made |= {f"checks/{name}.md": check_page(info) for name, info in known_checks().items()}
    made["checks/index.md"] = _checks()
    made |= {f"lint/{name}.md": lint_page(info) for name, info in known_lint_checks().items()}
    made["lint/index.md"] = _lint_checks()
    made["statistics.md"] = _statistics()
    rules = list(known_rules().values())
    made |= {f"causes/{name}.md": cause_page(one, rules) for name, one in CAUSES.items()}
    made["causes/index.md"] = _causes()
    made["python.md"] = _python()
    made |= {f"measured/{path.name}": path.read_text(encoding="utf-8") for path in RESULTS}
    return made


def _rules() -> str:
    rows = [
        (f"[{name}]({name}.md)", info.code, info.status, " ".join(info.summary.split()))
        for name, info in known_rules().items()
    ]
    return "# Rules\n\n" + _table(("rule", "code", "status", "what it says"), rows)


def _checks() -> str:
    rows = [
        (f"[{name}]({name}.md)", info.code, STAGES[info.stage], " ".join(info.summary.split()))
        for name, info in known_checks().items()
    ]
    intro = "What `preflight` asks of a program before step 0, in its order."
    return f"# Preflight\n\n{intro}\n\n" + _table(("check", "code", "step", "what holds"), rows)


def _lint_checks() -> str:
    rows = [
        (
            f"[{name}]({name}.md)",
            info.code,
            info.severity.name.lower(),
            " ".join(info.summary.split()),
        )
        for name, info in known_lint_checks().items()
    ]
    return "# Checks of code\n\n" + _table(("check", "code", "severity", "what it finds"), rows)


def _technique(name: str) -> str:
    one = known_techniques()[name]
    file = f"{one.room}.{name.replace('-', '_')}"
    blocks = [f"::: {file}.{export}" for export in one.exports]
    return "\n\n".join([technique_page(one), *blocks]) + "\n"


def _techniques() -> str:
    rows = [
        (f"[{name}]({name}.md)", one.room.rpartition(".")[2], " ".join(one.summary.split()))
        for name, one in sorted(known_techniques().items())
    ]
    return "# Prevention\n\n" + _table(("technique", "room", "what it does"), rows)


def _statistics() -> str:
    rows = [
        (f"`{s.name}`", s.meaning, s.unit, s.kind, s.stage, s.reduction) for s in STATS.values()
    ]
    heads = ("statistic", "meaning", "unit", "one value per", "taken", "over ranks")
    return "# Statistics\n\nWhat a history may hold. Not measured is NaN.\n\n" + _table(heads, rows)


def _causes() -> str:
    rows = [(f"[{one.name}]({one.name}.md)", one.code, one.meaning) for one in CAUSES.values()]
    intro = "What a person must change; a finding names what was seen, and nominates from here."
    return f"# Causes\n\n{intro}\n\n" + _table(("cause", "code", "what it is"), rows)


def _python() -> str:
    intro = (
        "Everything a program imports stands directly on the package: `import steadytrain as st`."
    )
    names = sorted(__all__, key=str.lower)
    blocks = [f"::: steadytrain.{_HOMES[name]}.{name}" for name in names]
    return "\n\n".join(["# Python", intro, *blocks]) + "\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(heads), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
