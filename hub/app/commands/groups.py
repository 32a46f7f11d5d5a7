"""The groups of commands, each of which is imported when somebody asks for it: `maillage --version` needs none."""

from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_group

#: Name -> the module beside this one, and the group in it.
GROUPS = {
    "db": ("db", "db"),
    "pki": ("pki", "pki_app"),
    "doctor": ("doctor", "doctor"),
    "audit": ("audit", "audit"),
    "access": ("access", "access"),
    "oauth": ("oauth", "oauth"),
    "imaging": ("imaging", "imaging"),
    "patients": ("patients", "patients"),
    "xds": ("xds", "xds"),
    "xdm": ("xdm", "xdm"),
}


class Groups(TyperGroup):
    """The commands of ``maillage``: its own ones, and the groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name, as the help shows them."""
        return [*super().list_commands(ctx), *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, None if there is none."""
        if cmd_name not in GROUPS:
            return super().get_command(ctx, cmd_name)
        module, group = GROUPS[cmd_name]
        found = getattr(import_module(f"hub.app.commands.{module}"), group)
        found.rich_markup_mode = "markdown"  # as the whole: in the usual mode a [table] of the settings is a style
        command = get_group(found)
        command.name = cmd_name
        return command
