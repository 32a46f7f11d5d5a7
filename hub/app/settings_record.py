"""The national record (DMP): off unless an endpoint is given."""

from hub.app.settings_table import Table


class NationalRecord(Table):
    """The national record (DMP): off unless an endpoint is given."""
