"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        "-s",
        help="The settings file. Default: `$MAILLAGE_SETTINGS`, else `maillage.toml` here, else safe defaults on "
        "loopback.",
        show_default=False,
    ),
]
