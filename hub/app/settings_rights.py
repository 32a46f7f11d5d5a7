"""Who may read what of whom."""

from hub.app.settings_table import Table


class Rights(Table):
    """Who may read what of whom."""
