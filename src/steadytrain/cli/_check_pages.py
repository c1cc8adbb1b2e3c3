"""The page of a preflight check, found by its name or code without importing torch for others."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from steadytrain.core.answer import STAGES
from steadytrain.core.causes import CAUSES

if TYPE_CHECKING:
    from steadytrain.core.check import CheckInfo

_ROOM = "steadytrain.checks"
_CODE = re.compile(r"[A-Z]{3}[2-9]\d\d")


def check_names() -> set[str]:
    """The checks in the folder, by name."""
    spec = importlib.util.find_spec(_ROOM)
    folders = [] if spec is None else spec.submodule_search_locations
    names = (module.name for module in pkgutil.iter_modules(folders))
    return {name.replace("_", "-") for name in names if not name.startswith("_")}


def find_check(name: str) -> CheckInfo | None:
    """The check of that name or code, None where there is none. Imports torch when there may be."""
    spelled, code = name.lower().replace("_", "-"), name.upper()
    if spelled not in check_names() and not _CODE.fullmatch(code):
        return None
    from steadytrain.checks._registry import known_checks

    found = known_checks().values()
    return next((one for one in found if spelled == one.name or code == one.code), None)


def check_document(info: CheckInfo) -> dict[str, Any]:
    """What is known about a check, as JSON's own types."""
    return {
        "kind": "preflight check",
        "name": info.name,
        "code": info.code,
        "stage": info.stage,
        "slow": info.slow,
        "status": info.status,
        "summary": info.summary,
        "causes": list(info.causes),
        "options": info.options,
        "sections": info.sections,
    }


def check_page(info: CheckInfo) -> str:
    """Everything a check says about itself."""
    trains = " · trains a copy" if info.slow else ""
    head = f"`{info.code}` · preflight check · {STAGES[info.stage]}{trains} · {info.status}"
    parts = [f"# {info.name}", head, info.summary]
    for title, text in info.sections.items():
        parts += [f"## {title}", dedent(text)]
    causes = [f"- {name}: {CAUSES[name].meaning}" for name in info.causes if name in CAUSES]
    parts += ["## Causes it nominates", "\n".join(causes) or "None that is known."]
    return "\n\n".join(parts) + "\n"
