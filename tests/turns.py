"""In which order the files of the suite run beside each other."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Protocol, TypeVar


class InFile(Protocol):
    """A test, as far as its file counts."""

    @property
    def path(self) -> Path: ...


Test = TypeVar("Test", bound=InFile)


def in_turn(tests: Sequence[Test]) -> list[Test]:
    """Files of few tests (that drive whole programs, and wait) and of many (that compute), in turn, two for one: so no
    long one is left for the end. Each file's tests stay together, in their order."""
    files: dict[Path, list[Test]] = {}
    for test in tests:
        files.setdefault(test.path, []).append(test)
    by_size = sorted(files.values(), key=lambda file: (len(file), file[0].path))
    half = len(by_size) // 2
    few, many, none = by_size[:half], by_size[half:], list[Test]()
    turns = zip_longest(few[0::2], few[1::2], reversed(many), fillvalue=none)
    return [test for file in chain.from_iterable(turns) for test in file]
