"""The text the character models train on: a folder's `input.txt`, or made-up sentences.

The sentences are generated, not stored: words of a made-up language, drawn with the frequencies
that words have (Zipf 1949), each word preferring some successors, so that there is something to
learn beyond the single character. They are no substitute for real text, and the data line of a
result says which of both was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.errors import UsageError

SOURCE: Final = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
VALIDATION_SHARE: Final = 0.1
"""The last tenth of the text is never trained on."""
MIN_CHARACTERS: Final = 10_000

_TINY_SHAKESPEARE: Final = (1_115_394, 65)
"""Characters and different ones, by which the file is recognised: its name is `input.txt`."""
_NUM_WORDS: Final = 400
_GENERATED_WORDS: Final = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CharText:
    """A text as numbers, one per character.

    Shape: train [n], validation [m].
    """

    name: str
    origin: str
    """Where it came from, in a word or two."""
    vocabulary: str
    """Every character once; a character's number is its place."""
    train: NDArray[np.int64]
    validation: NDArray[np.int64]

    @property
    def line(self) -> str:
        """Which text this is, as one visible line."""
        sizes = f"{len(self.train):,} training and {len(self.validation):,} validation characters"
        return f"{self.name} ({self.origin}): {sizes}, {len(self.vocabulary)} different"


@lru_cache(maxsize=2)
def load_text(folder: Path | None) -> CharText:
    """The text in `folder`, or the generated one.

    Raises:
        UsageError: the folder has no `input.txt`, or it cannot be read as text, or is too short.
    """
    if folder is None:
        return _split(_sentences(), "made-up sentences", "generated; --data DIR reads input.txt")
    path = next((p for p in _candidates(folder) if p.is_file()), None)
    if path is None:
        state = "has no input.txt" if folder.is_dir() else "is not a folder: expected one with"
        msg = f"{folder} {state} {'' if folder.is_dir() else 'input.txt'}".rstrip()
        raise UsageError(
            f"{msg}. Tiny Shakespeare is published at {SOURCE}, e.g. curl -O {SOURCE}; "
            "leave the folder out for generated text."
        )
    return _split(_read(path), _name(path), "input.txt")


def _candidates(folder: Path) -> list[Path]:
    """The text in the folder itself, or in that of a collection of data sets."""
    return [folder / "input.txt", folder / "tinyshakespeare" / "input.txt"]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text: byte {error.start} does not decode. Expected plain text"
        raise UsageError(f"{msg}: convert it, e.g. iconv -t utf-8.") from error


def _name(path: Path) -> str:
    text = _read(path)
    is_known = (len(text), len(set(text))) == _TINY_SHAKESPEARE
    return "Tiny Shakespeare" if is_known else path.resolve().parent.name


def _split(text: str, name: str, origin: str) -> CharText:
    if len(text) < MIN_CHARACTERS:
        msg = f"{name} has {len(text):,} characters, expected at least {MIN_CHARACTERS:,}"
        raise UsageError(f"{msg}: a tenth is kept for validation. Give a longer text.")
    vocabulary = "".join(sorted(set(text)))
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    known = np.array([ord(character) for character in vocabulary], dtype=np.uint32)
    numbers = np.searchsorted(known, codes).astype(np.int64)
    border = len(numbers) - round(VALIDATION_SHARE * len(numbers))
    return CharText(
        name=name,
        origin=origin,
        vocabulary=vocabulary,
        train=numbers[:border],
        validation=numbers[border:],
    )


def _sentences() -> str:
    """The same made-up text in every process: its generator has a seed of its own."""
    random = np.random.default_rng(1949)
    words = _words(random)
    frequency = 1.0 / np.arange(1, _NUM_WORDS + 1)
    successors = random.choice(_NUM_WORDS, (_NUM_WORDS, 4), p=frequency / frequency.sum())
    any_word = random.choice(_NUM_WORDS, _GENERATED_WORDS, p=frequency / frequency.sum())
    follows = random.random(_GENERATED_WORDS) < 0.6
    which = random.integers(0, 4, _GENERATED_WORDS)
    ends = random.random(_GENERATED_WORDS) < 0.12
    text: list[str] = []
    word = 0
    for place in range(_GENERATED_WORDS):
        word = int(successors[word, which[place]] if follows[place] else any_word[place])
        is_first = not text or text[-1].endswith("\n")
        shown = words[word].capitalize() if is_first else f" {words[word]}"
        text.append(f"{shown}.\n" if ends[place] else shown)
    return "".join(text)


def _words(random: np.random.Generator) -> list[str]:
    """Pronounceable words: one to three syllables of consonant, vowel and sometimes a coda."""
    onsets, vowels, codas = list("bdfghklmnprstvw"), list("aeiou"), ["", "", "n", "r", "s"]

    def syllable() -> str:
        return "".join(str(random.choice(part)) for part in (onsets, vowels, codas))

    return [
        "".join(syllable() for _ in range(int(random.integers(1, 4)))) for _ in range(_NUM_WORDS)
    ]
