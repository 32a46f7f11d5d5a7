"""Where ``maillage`` begins: at Ctrl-C it ends quietly, also while it is still loading."""

import os
import signal
import sys
from types import FrameType

_INTERRUPTED = 130  #: as a shell calls what SIGINT ended


def main() -> None:
    """Load the command and run it."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as shells start what runs in the background
        signal.signal(signal.SIGINT, _end)
    from hub.app.commands.main import main as command  # noqa: PLC0415 (it takes a second)

    signal.signal(signal.SIGINT, before)
    try:
        command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(_INTERRUPTED)  # nothing has begun yet that would have to be tidied up
