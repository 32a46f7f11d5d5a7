"""What is swept now and then, whatever becomes of the other sweeps."""

import threading
from pathlib import Path

from hub.app.running.housekeeping import Housekeeping
from hub.storage.content import ContentStore


def test_every_sweep_has_its_turn(tmp_path: Path) -> None:
    swept = threading.Event()

    def fails() -> None:
        raise OSError("no such directory")

    housekeeping = Housekeeping(ContentStore(tmp_path), lambda _: True, every=0.01, also=(fails, swept.set))
    housekeeping.start()
    try:
        assert swept.wait(60)
        swept.clear()
        assert swept.wait(60)
    finally:
        housekeeping.stop()
