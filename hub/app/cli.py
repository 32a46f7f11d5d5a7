"""The ``maillage`` command."""


def main() -> None:
    """Entry point."""
