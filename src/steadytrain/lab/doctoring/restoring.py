"""Whether the fix of a diagnosis makes a faulty program train as its healthy twin does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

import steadytrain as st
from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.program import Program
from steadytrain.core.root_cause import known_root_causes
from steadytrain.doctor.sandbox import sandbox
from steadytrain.doctor.tape import Tape, record
from steadytrain.doctor.twin import twin_of
from steadytrain.doctor.yardstick import Yardstick
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import known_faults
from steadytrain.lab.zoo.scoring import Job

NEAR: Final = 0.05
"""Share of the twin's metric by which a restored program may lie below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Where a training ended, by the twin's own loss and metric."""

    loss: float
    metric: float


def is_restored(job: Job, diagnosis: Diagnosis, program: Program, steps: int) -> bool | None:
    """Whether the fixed program ends with a metric within 5% of the twin's, or with its loss.

    Its loss is one within the twin's noise: the difference that another order of the data and
    other draws make, and a twentieth. None where the fault has no cause that a change to a program
    repairs, or is no fault.
    """
    planted = known_faults().get(job.name) if job.kind == "fault" else None
    if planted is None or not _is_repairable(planted.cause):
        return None
    try:
        fixed = diagnosis.apply_fix(program)
    except Exception:  # nothing to apply, or it does not apply
        return False
    twin = planted.twin(Case(architecture=job.architecture, seed=job.seed, data=job.data))
    tape = record(twin, steps * twin.accumulate)
    yardstick = Yardstick(twin, tape.recorded)
    healthy = _trained(twin, steps, job.seed, yardstick, tape)
    other = _trained(twin, steps, job.seed + 1, yardstick, tape.reordered(job.seed + 1))
    return _is_near(_trained(fixed, steps, job.seed, yardstick), healthy, other)


def _is_repairable(cause: str) -> bool:
    file = known_root_causes().get(cause)
    return file is not None and bool(file.proofs)


def _trained(
    program: Program, steps: int, seed: int, yardstick: Yardstick, data: Tape | None = None
) -> _End:
    """Where a copy ends; not a number where it raises."""
    copy = twin_of(program)
    copy.batches = data or copy.batches
    try:
        with sandbox(copy, seed):
            st.train(copy, steps=steps, watch=False, progress=False)
            held, metric = yardstick.measure(copy, seed)
    except Exception:  # what does not train is not restored
        return _End(loss=math.nan, metric=math.nan)
    return _End(loss=float(np.mean(held)), metric=metric)


def _is_near(fixed: _End, healthy: _End, other: _End) -> bool:
    noise = abs(other.loss - healthy.loss) + NEAR * abs(healthy.loss)
    by_loss = fixed.loss <= healthy.loss + noise
    return by_loss or fixed.metric >= healthy.metric - NEAR * abs(healthy.metric)
