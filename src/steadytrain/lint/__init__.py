r"""The linter: training code is read, never run. One public file of this folder is one check.

    >>> import steadytrain.lint as lint
    >>> text = "import torch.nn.functional as F\nF.softmax(x)\n"
    >>> [finding.name for finding in lint.lint_source(text)]
    ['softmax-without-dim']

Names are followed through assignments, calls within the file and the methods of a class; where a
name cannot be followed, the checks are silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steadytrain.core.lazy import lazily

if TYPE_CHECKING:
    from steadytrain.lint._check import lint_check
    from steadytrain.lint._finding import Edit, Fix, LintFinding
    from steadytrain.lint._linter import Report, lint_paths, lint_source

_HOMES = {
    "Edit": "_finding",
    "Fix": "_finding",
    "LintFinding": "_finding",
    "Report": "_linter",
    "lint_check": "_check",
    "lint_paths": "_linter",
    "lint_source": "_linter",
}
"""Public name -> the file it is in."""

__all__ = [
    "Edit",
    "Fix",
    "LintFinding",
    "Report",
    "lint_check",
    "lint_paths",
    "lint_source",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
