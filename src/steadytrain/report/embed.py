"""One file that carries its own data, script and style, and lets nothing else in.

Data stands in a script element of type JSON, its markup characters escaped, so that no name can
end the element. The content security policy names our scripts and style by their hashes: a
script that came in by any other way would not run, and no request can leave the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike

SCRIPTS: Final = ("elements.js", "charts.js", "sections.js", "page.js")
"""Our own scripts, in the order they are read."""

_ESCAPES: Final = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def packed(values: ArrayLike, kind: Literal["f4", "f8"] = "f8") -> dict[str, str]:
    """Numbers as base64 of little-endian floats: NaN and infinity stay what they are."""
    with np.errstate(over="ignore"):
        raw = np.ascontiguousarray(np.asarray(values), dtype=f"<{kind}").tobytes()
    return {kind: base64.b64encode(raw).decode("ascii")}


def json_element(data: Mapping[str, Any]) -> str:
    """`data` as JSON that cannot end the script element it stands in.

    Raises:
        ValueError: it holds a NaN or an infinity outside `packed`.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def page(data: Mapping[str, Any]) -> str:
    """The whole page for `data`; it opens offline and asks for nothing."""
    from plotly.offline import get_plotlyjs

    plotly, style = get_plotlyjs(), _resource("page.css")
    script = "\n".join(_resource(name) for name in SCRIPTS)
    parts = {
        "policy": _policy([plotly, script], style),
        "style": style,
        "unused": "".join(f'<style id="{name}"></style>' for name in _unused_styles(plotly)),
        "plotly": plotly,
        "data": json_element(data),
        "script": script,
    }
    # one pass, so that what is filled in is never searched for further places
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _resource("page.html"))


def _policy(scripts: list[str], style: str) -> str:
    """The content security policy of the page.

    Plotly makes one empty style element and fills it rule by rule, hence the hash of nothing; it
    also writes a few style attributes, which can reach nothing outside the page and are allowed
    as attributes only. Its heatmaps are images it draws itself: `data:`, and `blob:` when the
    reader saves one.
    """
    allowed = " ".join(_hash(script) for script in scripts)
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {allowed}",
            f"style-src-elem {_hash(style)} {_hash('')}",
            "style-src-attr 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _unused_styles(plotly: str) -> list[str]:
    """Ids of the style sheets that Plotly adds as it loads, unless an element has the id already.

    They are those of its maps, which no page of ours has; an empty element keeps them out.
    """
    return re.findall(r'if\(!document\.getElementById\("([0-9a-f]{64})"\)\)', plotly)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _resource(name: str) -> str:
    return files("steadytrain.report").joinpath(name).read_text(encoding="utf-8")
