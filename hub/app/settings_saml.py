"""Assertions about users: whose are believed (ITI-40, VIHF), and with which key the hub issues its own."""

from hub.app.settings_table import Table


class Saml(Table):
    """Assertions about users: whose are believed (ITI-40, VIHF), and with which key the hub issues its own."""
