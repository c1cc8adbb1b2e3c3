"""The pages that the code writes about itself: rules, statistics, causes, the public names.

They exist only while the documentation is built; there is no copy that could fall behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steadytrain import _HOMES, __all__
from steadytrain.cli._pages import cause_row, cause_table, rule_page
from steadytrain.core.causes import CAUSES
from steadytrain.core.stats import STATS
from steadytrain.engine import known_rules

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


def on_config(config: MkDocsConfig) -> None:
    """The generated pages stand at the end of the navigation."""
    rules = [{"All rules": "rules/index.md"}, *(f"rules/{name}.md" for name in known_rules())]
    config.nav = [
        *config.nav,
        {"Rules": rules},
        {"Statistics": "statistics.md"},
        {"Causes": "causes.md"},
        {"Python": "python.md"},
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
    made["statistics.md"] = _statistics()
    made["causes.md"] = _causes()
    made["python.md"] = _python()
    return made


def _rules() -> str:
    rows = [
        (f"[{name}]({name}.md)", info.code, info.status, " ".join(info.summary.split()))
        for name, info in known_rules().items()
    ]
    return "# Rules\n\n" + _table(("rule", "code", "status", "what it says"), rows)


def _statistics() -> str:
    rows = [
        (f"`{s.name}`", s.unit, s.kind, s.stage, s.reduction, s.meaning) for s in STATS.values()
    ]
    heads = ("statistic", "unit", "one value per", "taken", "over ranks", "meaning")
    return "# Statistics\n\nWhat a history may hold. Not measured is NaN.\n\n" + _table(heads, rows)
