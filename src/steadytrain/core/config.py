"""The `[tool.steadytrain]` table of a project: which rules judge, with which options.

    [tool.steadytrain]
    select = ["GRD", "loss-spike"]     # names, codes or families; every rule without it
    ignore = ["ACT"]
    fail-on = "critical"               # note, warning (the default), critical, never

    [tool.steadytrain.rules.loss-spike]
    min_steps = 100                    # an option of that rule

    [tool.steadytrain.lint]
    ignore = ["data-write"]            # and select, fail-on: as above, for checks of code
    exclude = ["third_party/*"]        # paths in folders that are passed over

    [tool.steadytrain.lint.per-file-ignores]
    "examples/*" = ["seed-in-loop"]    # paths as they are given, and what to pass over there

    [tool.steadytrain.check]
    ignore = ["data"]                  # and select, fail-on: as above, for preflight checks

    [tool.steadytrain.check.tiny-batch]
    num_samples = 4                    # an option of that check

Reading is strict: an unknown key, a value of another type or a file that is not UTF-8 is an
error that names the key and the file, because a misspelt option that is silently passed over
leaves its reader in the belief that it holds.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from steadytrain.core.errors import ConfigError, UnknownNameError
from steadytrain.core.finding import Severity

FILE_NAME: Final = "pyproject.toml"
KEYS: Final = ("select", "ignore", "fail-on", "rules", "lint", "check")
LINT_KEYS: Final = ("select", "ignore", "fail-on", "exclude", "per-file-ignores")
CHECK_KEYS: Final = ("select", "ignore", "fail-on")
NEVER: Final = "never"
"""The `fail-on` that no finding reaches."""

Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LintConfig:
    """What a project asks of the checks of its code."""

    select: tuple[str, ...] | None = None
    """Names, codes or families of the checks; all if None."""
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    """Patterns of paths in folders that are passed over."""
    fail_on: Severity | None = Severity.WARNING
    """The lowest severity that fails the command; None for never."""
    has_fail_on: bool = False
    """Whether the file says so; else that of the whole project holds."""
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict[str, tuple[str, ...]]
    )
    """What is passed over in files, by a pattern of their paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """What a project asks of the checks before step 0."""

    select: tuple[str, ...] | None = None
    """Names, codes, families or steps of the checks; all if None."""
    ignore: tuple[str, ...] = ()
    fail_on: Severity | None = Severity.WARNING
    """The lowest severity that fails the command; None for never."""
    has_fail_on: bool = False
    """Whether the file says so; else that of the whole project holds."""
    options: Options = field(default_factory=dict[str, Mapping[str, Any]])
    """Option values by check name."""

    def check_options(self, place: str, known: Options) -> None:
        """Every configured check and option exists in `known`, with the type of its default.

        Args:
            place: the file, for messages.
            known: the defaults of every option, by check name.

        Raises:
            ConfigError: one does not; the message names it and the file.
        """
        _check_options(place, "check", self.options, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a project asks of steadytrain; the defaults where no file says anything."""

    path: Path | None = None
    select: tuple[str, ...] | None = None
    """Names, codes or families of the rules that judge; all if None."""
    ignore: tuple[str, ...] = ()
    fail_on: Severity | None = Severity.WARNING
    """The lowest severity that fails a command; None for never."""
    options: Options = field(default_factory=dict[str, Mapping[str, Any]])
    """Option values by rule name."""
    lint: LintConfig = field(default_factory=LintConfig)
    check: CheckConfig = field(default_factory=CheckConfig)

    @property
    def place(self) -> str:
        """Where the values stand, for messages."""
        return str(self.path) if self.path is not None else "defaults"

    def check_options(self, known: Options) -> None:
        """Every configured rule and option exists in `known`, with the type of its default.

        Args:
            known: the defaults of every option, by rule name.

        Raises:
            ConfigError: one does not; the message names it and the file.
        """
        _check_options(self.place, "rule", self.options, known)


def find_config(folder: Path) -> Config:
    """The configuration of the nearest `pyproject.toml` from `folder` upwards that has one.

    Raises:
        ConfigError: a file on the way cannot be read as meant.
    """
    start = folder.resolve()
    for place in (start, *start.parents):
        path = place / FILE_NAME
        if path.is_file() and (table := _tool_table(path)) is not None:
            return _parse(path, table)
    return Config()


def read_config(path: Path) -> Config:
    """The configuration that stands in the file at `path`.

    Raises:
        ConfigError: it cannot be read as meant, or has no `[tool.steadytrain]` table.
    """
    table = _tool_table(path)
    if table is None:
        msg = f"{path}: has no [tool.steadytrain] table, expected one with any of"
        raise ConfigError(f"{msg} {', '.join(KEYS)}. Add it, or leave --config out.")
    return _parse(path, table)


def _tool_table(path: Path) -> object | None:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        tools = cast("dict[str, Any] | None", tomllib.loads(text).get("tool"))
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error}), expected a TOML file"
        raise ConfigError(f"{msg}. Check the path and its rights.") from None
    except UnicodeDecodeError as error:
        msg = f"{path}: byte {error.start} is not UTF-8 (found {error.object[error.start]:#04x})"
        raise ConfigError(f"{msg}, as TOML must be. Save the file as UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}. Put the line right.") from None
    return tools.get("steadytrain") if isinstance(tools, dict) else None


def _parse(path: Path, table: object) -> Config:
    values = _table(path, "tool.steadytrain", table)
    for key in values:
        if key not in KEYS:
            raise ConfigError(
                f"{path}: tool.steadytrain: {UnknownNameError.build('key', key, KEYS)}"
            )
    rules = _table(path, "rules", values.get("rules", {}))
    return Config(
        path=path,
        select=_names(path, "select", values["select"]) if "select" in values else None,
        ignore=_names(path, "ignore", values.get("ignore", [])),
        fail_on=_severity(path, values.get("fail-on", Severity.WARNING.name)),
        options={rule: _table(path, f"rules.{rule}", options) for rule, options in rules.items()},
        lint=_lint(path, _table(path, "lint", values.get("lint", {}))),
        check=_check(path, _table(path, "check", values.get("check", {}))),
    )


def _refuse_unknown(path: Path, table: str, keys: Iterable[str], known: tuple[str, ...]) -> None:
    for key in keys:
        if key not in known:
            error = UnknownNameError.build("key", key, known)
            raise ConfigError(f"{path}: tool.steadytrain.{table}: {error}")


def _lint(path: Path, values: dict[str, Any]) -> LintConfig:
    _refuse_unknown(path, "lint", values, LINT_KEYS)
    return LintConfig(
        select=_names(path, "lint.select", values["select"]) if "select" in values else None,
        ignore=_names(path, "lint.ignore", values.get("ignore", [])),
        exclude=_names(path, "lint.exclude", values.get("exclude", [])),
        fail_on=_severity(path, values.get("fail-on", Severity.WARNING.name)),
        has_fail_on="fail-on" in values,
        per_file_ignores={
            pattern: _names(path, f"lint.per-file-ignores.{pattern}", names)
            for pattern, names in _table(
                path, "lint.per-file-ignores", values.get("per-file-ignores", {})
            ).items()
        },
    )


def _check(path: Path, values: dict[str, Any]) -> CheckConfig:
    """The table of preflight checks: its own keys, and a table for every check with options."""
    own = {key: value for key, value in values.items() if not isinstance(value, dict)}
    _refuse_unknown(path, "check", own, CHECK_KEYS)
    return CheckConfig(
        select=_names(path, "check.select", own["select"]) if "select" in own else None,
        ignore=_names(path, "check.ignore", own.get("ignore", [])),
        fail_on=_severity(path, own.get("fail-on", Severity.WARNING.name)),
        has_fail_on="fail-on" in own,
        options={name: _table(path, f"check.{name}", values[name]) for name in values.keys() - own},
    )


def _check_options(place: str, kind: str, given: Options, known: Options) -> None:
    """Every name and option in `given` exists in `known`, with the type of its default."""
    table = "rules" if kind == "rule" else kind
    for name, options in given.items():
        if name not in known:
            raise ConfigError(f"{place}: {UnknownNameError.build(kind, name, known)}")
        for option, value in options.items():
            key = f"{table}.{name}.{option}"
            if option not in known[name]:
                error = UnknownNameError.build("option", option, known[name])
                raise ConfigError(f"{place}: {key}: {error}")
            _check_type(place, key, value, known[name][option])


def _table(path: Path, key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(str(path), key, value, "a table of keys and values")
    return cast("dict[str, Any]", value)


def _names(path: Path, key: str, value: object) -> tuple[str, ...]:
    items = cast("list[object]", value) if isinstance(value, list) else [None]
    names = tuple(item for item in items if isinstance(item, str))
    if len(names) != len(items):
        raise _wrong(
            str(path), key, cast("object", value), 'a list of names, as in ["GRD", "loss-spike"]'
        )
    return names


def _severity(path: Path, value: object) -> Severity | None:
    known = [*(severity.name.lower() for severity in Severity), NEVER]
    if not isinstance(value, str):
        raise _wrong(str(path), "fail-on", value, f"one of {', '.join(known)}")
    if value == NEVER:
        return None
    if value.lower() not in known:
        raise ConfigError(f"{path}: fail-on: {UnknownNameError.build('severity', value, known)}")
    return Severity.parse(value)


_TOML_TYPES: Final[dict[type, tuple[type, ...]]] = {float: (float, int), tuple: (list,)}


def _check_type(place: str, key: str, value: object, default: object) -> None:
    """Raise unless `value` can stand where `default` stands; a whole number is a float too."""
    wanted = type(default)
    accepted = _TOML_TYPES.get(wanted, (wanted,))
    if type(value) not in accepted or (isinstance(value, float) and math.isnan(value)):
        raise _wrong(place, key, value, f"{wanted.__name__}, like the default {default!r}")


def _wrong(place: str, key: str, found: object, expected: str) -> ConfigError:
    return ConfigError(f"{place}: {key}: found {found!r}, expected {expected}.")
