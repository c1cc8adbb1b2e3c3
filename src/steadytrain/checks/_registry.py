"""Which checks there are, and which of them a call asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

from steadytrain.core.answer import STAGES
from steadytrain.core.check import Check, CheckInfo, info_of
from steadytrain.core.discovery import Broken, marked
from steadytrain.core.errors import ConfigError, UnknownNameError


@cache
def _found() -> tuple[dict[str, object], list[Broken]]:
    return marked("steadytrain.checks", "steadytrain.checks", "__check__")


def known_checks() -> dict[str, CheckInfo]:
    """Every check in the folder and from entry points, by name, in the order of the ten steps."""
    infos = [info_of(cast("type[Any]", one)) for one in _found()[0].values()]
    order = list(STAGES)
    infos.sort(key=lambda info: (order.index(info.stage), info.code))
    return {info.name: info for info in infos}


def broken_checks() -> list[Broken]:
    """Checks of other packages that could not be loaded."""
    return list(_found()[1])


def make_checks(
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Check]:
    """The chosen checks, built with their options, in the order of the ten steps.

    Args:
        select: names, codes, code families (`LOS`) or stages; all checks if None.
        ignore: the same, to leave out.
        options: option values by the check's name.

    Raises:
        UnknownNameError: no check has that name, code, family or stage.
        ConfigError: a check has no such option, or refuses its value.
    """
    infos = known_checks()
    chosen = set(infos) if select is None else _names(select, infos)
    chosen -= _names(ignore or (), infos)
    given = options or {}
    for name in given:
        _names([name], infos)
    return [
        _build(info, dict(given.get(name, {}))) for name, info in infos.items() if name in chosen
    ]


def _names(wanted: Iterable[str], infos: Mapping[str, CheckInfo]) -> set[str]:
    names: set[str] = set()
    for word in [wanted] if isinstance(wanted, str) else wanted:
        match = {
            name
            for name, info in infos.items()
            if word in (name, info.code, info.code.rstrip("0123456789"), info.stage)
        }
        if not match:
            raise UnknownNameError.build("check", word, {*infos, *STAGES})
        names |= match
    return names


def _build(info: CheckInfo, options: dict[str, Any]) -> Check:
    unknown = sorted(set(options) - set(info.options))
    if unknown:
        known = ", ".join(info.options) or "none"
        raise ConfigError(
            f"check {info.name!r} has no option {unknown[0]!r}: its options are {known}."
        )
    try:
        return info.check(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"check {info.name!r} refuses its options {options}: {error}") from error
