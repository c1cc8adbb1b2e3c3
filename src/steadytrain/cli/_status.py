"""The exit statuses of the command line, and how findings become one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from steadytrain.core.finding import Finding, Severity

HEALTHY: Final = 0
FINDINGS: Final = 1
"""There are findings at or above `--fail-on`."""
UNANSWERED: Final = 2
"""The command was used wrongly, or could not do what was asked."""
INTERRUPTED: Final = 130
"""The keyboard stopped it; 128 + SIGINT, as shells count."""
NO_READER: Final = 141
"""Whoever read the output left; 128 + SIGPIPE."""

DEFAULT_FAIL_ON: Final = Severity.WARNING


def status_of(findings: Iterable[Finding], fail_on: Severity | None) -> int:
    """1 where a finding is at or above `fail_on`, otherwise 0; None never fails."""
    if fail_on is None:
        return HEALTHY
    return FINDINGS if any(finding.severity >= fail_on for finding in findings) else HEALTHY
