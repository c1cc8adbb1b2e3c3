"""The images the lab trains on: the embedded digits, or a folder of IDX files.

Pixels stay the unsigned bytes they were published as; `scale` says how they are standardised,
from the training images only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.errors import UsageError
from steadytrain.lab.idx import read_idx

Bytes = NDArray[np.uint8]

TEST_EVERY: Final = 5
"""Of the digits, sorted by class, each fifth is a test image."""

MIRROR: Final = "https://ossci-datasets.s3.amazonaws.com/mnist/"

_CLASS_SIZES: Final = {
    "MNIST": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "Fashion-MNIST": (6000,) * 10,
}
"""Training images per class, by which the two are told apart: their files have equal names."""

_IDX_NAMES: Final = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageData:
    """Grey images with labels, split into training and test.

    Shape: images [n, height, width], labels [n].
    """

    name: str
    origin: str
    """Where it came from, in a word or two: `embedded`, `IDX files`."""
    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes

    @property
    def line(self) -> str:
        """Which data set this is, as one visible line."""
        count, height, width = self.train_images.shape
        sizes = f"{count:,} training and {len(self.test_images):,} test images"
        return f"{self.name} ({self.origin}): {sizes} of {height}x{width}"

    @property
    def num_classes(self) -> int:
        return int(self.train_labels.max()) + 1

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the training pixels."""
        mean, deviation = float(self.train_images.mean()), float(self.train_images.std())
        return mean, deviation if deviation > 0 else 1.0

    def head(self, num_train: int, num_test: int) -> ImageData:
        """The first images of each part only."""
        return ImageData(
            name=self.name,
            origin=f"{self.origin}, the first images",
            train_images=self.train_images[:num_train],
            train_labels=self.train_labels[:num_train],
            test_images=self.test_images[:num_test],
            test_labels=self.test_labels[:num_test],
        )


@lru_cache(maxsize=2)
def load(folder: Path | None) -> ImageData:
    """The embedded digits, or the images in `folder`.

    Raises:
        UsageError: the folder does not hold the four files, or they do not fit together.
    """
    return digits() if folder is None else read_folder(folder)


def digits() -> ImageData:
    """The 1,797 embedded digits of 8x8, every fifth of each class a test image."""
    with (files("steadytrain.lab") / "data" / "digits.npz").open("rb") as file:
        table = np.load(file, allow_pickle=False)
        images, labels = table["images"], table["labels"]
    by_class = np.argsort(labels, kind="stable")
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[by_class[::TEST_EVERY]] = True
    return ImageData(
        name="digits",
        origin="embedded",
        train_images=images[~is_test],
        train_labels=labels[~is_test],
        test_images=images[is_test],
        test_labels=labels[is_test],
    )


def read_folder(folder: Path) -> ImageData:
    """The images of MNIST's four IDX files in `folder`, compressed or not.

    Raises:
        UsageError: a file is missing or is not what its name says, or they do not fit together.
    """
    parts = {
        part: read_idx(_find(folder, name), 3 if part.endswith("images") else 1)
        for part, name in _IDX_NAMES.items()
    }
    name = _name(parts["train_labels"]) or folder.resolve().name
    data = ImageData(name=name, origin="IDX files", **parts)
    for half in ("train", "test"):
        images, labels = parts[f"{half}_images"], parts[f"{half}_labels"]
        if len(images) != len(labels):
            msg = f"{folder} has {len(images):,} {half} images but {len(labels):,} labels:"
            raise UsageError(f"{msg} expected as many of each. Use files of one data set.")
    if data.train_images.shape[1:] != data.test_images.shape[1:]:
        found = f"{data.train_images.shape[1:]} and {data.test_images.shape[1:]}"
        msg = f"{folder}: training and test images differ in size, {found}: expected one size."
        raise UsageError(f"{msg} Use files of one data set.")
    if data.test_labels.max() >= data.num_classes:
        msg = f"{folder}: a test label is {data.test_labels.max()}, the training labels end at"
        raise UsageError(f"{msg} {data.num_classes - 1}. Use files of one data set.")
    return data


def _name(train_labels: Bytes) -> str | None:
    """The data set's own name, where its labels are a known one's."""
    sizes = tuple(np.bincount(train_labels).tolist())
    return next((name for name, known in _CLASS_SIZES.items() if known == sizes), None)


def _find(folder: Path, name: str) -> Path:
    """The file called `name`, in one of the spellings it is published with."""
    spellings = [name, name.replace("-idx", ".idx")]
    candidates = [folder / f"{word}{end}" for word in spellings for end in ("", ".gz")]
    for path in candidates:
        if path.is_file():
            return path
    state = "has no" if folder.is_dir() else "is not a folder: expected one with"
    msg = f"{folder} {state} {name}[.gz]. The four files of MNIST are published at {MIRROR}, e.g."
    raise UsageError(f"{msg} curl -O {MIRROR}{name}.gz; leave the folder out for the digits.")
