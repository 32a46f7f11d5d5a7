"""Where the audit trail is sent besides the hub's own database (ITI-20), and how long it is kept."""

from hub.app.settings_table import Table


class Atna(Table):
    """Where the audit trail is sent besides the hub's own database (ITI-20), and how long it is kept."""
