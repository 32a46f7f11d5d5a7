"""``maillage demo``: a study made in one hospital is found and read in another, for real, on this machine."""

from typing import Any


def main(*, once: bool = False) -> int:
    """Play the story; exit code 0 only if every step really happened."""
    from hub.app.demo.play import play  # noqa: PLC0415 - heavy, and only wanted by this command

    return play(once=once)


def seed(hub: Any) -> None:
    """Put the demo's person and reports into a hub."""
    from hub.app.demo.seed import seed as plant  # noqa: PLC0415 - only where asked for

    plant(hub)
