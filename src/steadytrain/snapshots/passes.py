"""Pass after pass over the data, with a position that can be told and taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.snapshots.rng import RandomSources

END: Final = object()
"""What stands where a pass is over."""


class Passes:
    """Reads `batches` pass by pass, and can say and restore where it stands.

    The position is the state of every random source when the pass began and the number of
    batches read since. Restoring it begins the pass again and reads on to the place, so
    any re-iterable whose order comes from those sources continues exactly; one that has
    `state_dict` and `load_state_dict` (torchdata's StatefulDataLoader) does it itself. Out of
    reach are generators of the data's own, and those of worker processes that outlive a pass
    (`persistent_workers=True`): the order is right, what they draw is not.

    Args:
        batches: re-iterable; one item is one microbatch.
        sources: the random sources the order may come from.
        resumable: False saves the cost of noting the sources when a pass begins.
    """

    def __init__(self, batches: Any, sources: RandomSources, *, resumable: bool) -> None:
        self.epoch = 0
        """Finished passes."""
        self.num_read = 0
        """Batches read in this pass."""
        self.last_num_read = 0
        """Batches that the pass before this one had."""
        self.is_reading = False
        """Whether the data is being asked for a batch, or failed to give one."""
        self._batches = batches
        self._sources = sources
        self._resumable = resumable
        self._iterator: Iterator[Any] | None = None
        self._beginning: dict[str, Any] | None = None

    def read(self) -> Any:
        """The next batch of the pass, or END where the pass is over; then the next one begins."""
        if self._iterator is None:
            self._begin()
        batch = self._read()
        if batch is END:
            self._iterator = None
            self.epoch += 1
            self.last_num_read, self.num_read = self.num_read, 0
            return END
        self.num_read += 1
        return batch

    def read_on(self) -> Any:
        """The next batch, of the next pass where this one is over; never END.

        Raises:
            ProgramError: a whole pass over the data gave nothing.
        """
        batch = self.read()
        if batch is END and self.last_num_read:
            batch = self.read()
        if batch is END:
            raise ProgramError(_nothing_to_read(self.epoch - 1))
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The position, to be restored by `load_state_dict`."""
        return {
            "epoch": self.epoch,
            "num_read": self.num_read,
            "beginning": self._beginning if self._iterator is not None else None,
            "loader": self._batches.state_dict() if self.is_stateful else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next batch is the one that would have followed `state_dict`.

        Cost: without a stateful loader, the pass's earlier batches are read again.

        Raises:
            UsageError: the data ends before the place is reached.
        """
        self.epoch, self.num_read = state["epoch"], state["num_read"]
        if state["beginning"] is not None:
            self._sources.restore(state["beginning"])
        stateful = self.is_stateful and state["loader"] is not None
        if stateful:
            self._batches.load_state_dict(state["loader"])
        self._iterator = None
        if not self.num_read and not stateful:  # the next pass begins when it is read
            return
        self._begin(self.num_read)
        self._beginning = state["beginning"]
        for num_skipped in range(0 if stateful else self.num_read):
            if self._read() is END:
                raise UsageError(_data_changed(self.num_read, num_skipped))

    @property
    def is_stateful(self) -> bool:
        """Whether the data can say and restore its place itself."""
        methods = ("state_dict", "load_state_dict")
        return all(callable(getattr(self._batches, name, None)) for name in methods)

    def _begin(self, num_read: int = 0) -> None:
        self.num_read = num_read
        if self._resumable:
            self._beginning = self._sources.capture()
        set_epoch = getattr(getattr(self._batches, "sampler", None), "set_epoch", None)
        if callable(set_epoch):  # a DistributedSampler repeats its order unless it is told
            set_epoch(self.epoch)
        self._iterator = iter(self._batches)

    def _read(self) -> Any:
        self.is_reading = True
        batch = END if self._iterator is None else next(self._iterator, END)
        self.is_reading = False
        return batch


def _nothing_to_read(epoch: int) -> str:
    if epoch:
        return (
            f"Program.batches: got nothing on pass {epoch + 1} over the data, after {epoch} that "
            "gave batches, expected something that can be read again: pass a DataLoader, a list "
            "or an object whose __iter__ starts anew, not one that hands out the same generator."
        )
    return (
        "Program.batches: got no batch from a whole pass over the data, expected at least one: "
        "check that the data set is not empty, that drop_last with a batch_size above its size "
        "does not drop everything, and that a generator was not already used up."
    )


def _data_changed(num_read: int, num_found: int) -> str:
    return (
        f"the checkpoint stands at microbatch {num_read} of a pass, but Program.batches ends "
        f"after {num_found}: the data is not the same as when it was saved. Give the same data "
        "and batch size, or start a new run in another directory."
    )
