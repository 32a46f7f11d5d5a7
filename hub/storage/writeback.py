"""Files on their way to the disk while they are still written: the sync at their end has little to wait for."""

import ctypes
from collections.abc import Callable

_WRITE = 2  #: SYNC_FILE_RANGE_WRITE


class Writeback:
    """Of one open file: ``written`` says how far it has come. Makes nothing durable: ``fsync`` does."""

    def __init__(self, handle: int, stretch: int) -> None:
        self._handle = handle
        self._stretch = stretch  #: bytes handed to the disk at a time
        self._begun = 0

    def written(self, size: int) -> None:
        """The file has so many bytes now."""
        if size - self._begun >= self._stretch and _sync_file_range is not None:
            _sync_file_range(self._handle, self._begun, size - self._begun, _WRITE)
            self._begun = size


def _find() -> Callable[[int, int, int, int], int] | None:
    """Linux's call that starts writing to the disk without waiting; without it everything waits for the sync."""
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function


_sync_file_range = _find()
