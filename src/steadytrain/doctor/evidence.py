"""What an experiment found out so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from steadytrain.core.finding import Finding
from steadytrain.doctor.change import PLACEBO, RERUN
from steadytrain.doctor.health import Judgement, Noise, merits
from steadytrain.doctor.nominating import Suspect
from steadytrain.doctor.observing import Observation
from steadytrain.doctor.reading import read
from steadytrain.doctor.scene import Scene
from steadytrain.doctor.trials import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A trial that was made."""

    name: str
    record: Record
    judgement: Judgement | None
    """None where the change does not apply."""
    steps: int


@dataclass(kw_only=True)
class Evidence:
    """All that an experiment found out, so far."""

    scene: Scene
    base: Observation
    findings: tuple[Finding, ...] = ()
    ranked: list[Suspect] = field(default_factory=list[Suspect])
    made: dict[str, Made] = field(default_factory=dict[str, Made])
    """The longest trial of each change, by name."""
    noise: Noise = field(default_factory=Noise)
    is_sick: bool = False
    is_silent: bool = False
    """Whether nothing alarms and the loss does not fall."""
    is_quiet: bool = False
    """Whether nothing alarms while it trains; what is wrong, if anything, was said before."""
    interrupted: bool = False
    tried_all: bool = False

    @property
    def restored(self) -> dict[str, float]:
        """The merit of every change that restored health over the whole length."""
        return self._merits(self.base.asked)

    @property
    def promising(self) -> dict[str, float]:
        """The merit of every change that restored health as far as it was run."""
        return self._merits(0)

    @property
    def recurs(self) -> bool:
        """Whether the trouble came back, or may have, when nothing at all was changed.

        The same losses are the same run: an alarm that stays away, of memory for one, is chance.
        """
        again = self.made.get(RERUN)
        if again is None or again.judgement is None or not again.judgement.healthy:
            return True
        seen = again.record.observation
        return seen is None or repr(seen.losses) == repr(self.base.losses[: len(seen.losses)])

    def _merits(self, least: int) -> dict[str, float]:
        """Over the length that all of them were run: a longer run has fallen further."""
        healthy = {
            name: one
            for name, one in self.made.items()
            if one.judgement is not None
            and one.judgement.healthy
            and one.steps >= least
            and name not in (PLACEBO, RERUN)
        }
        common = min((one.steps for one in healthy.values()), default=0)
        found: dict[str, Judgement] = {}
        for name, one in healthy.items():
            seen = one.record.observation
            if one.judgement is not None and seen is not None:
                found[name] = replace(one.judgement, reading=read(seen, common))
        return merits(found, read(self.base).metric)
