"""Snapshots: everything a step changes, kept in memory and on disk, and put back to the bit."""

from steadytrain.snapshots.checkpoints import Checkpoints
from steadytrain.snapshots.memory import HostMemory
from steadytrain.snapshots.ring import SnapshotRing
from steadytrain.snapshots.rng import RandomSources
from steadytrain.snapshots.seal import Broken, Seal
from steadytrain.snapshots.signals import StopSignals
from steadytrain.snapshots.snapshot import Snapshot, capture, misfit, parts_of, restore
from steadytrain.snapshots.stream import Stream

__all__ = [
    "Broken",
    "Checkpoints",
    "HostMemory",
    "RandomSources",
    "Seal",
    "Snapshot",
    "SnapshotRing",
    "StopSignals",
    "Stream",
    "capture",
    "misfit",
    "parts_of",
    "restore",
]
