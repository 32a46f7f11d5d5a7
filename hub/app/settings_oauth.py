"""Tokens for systems: an authorisation server of the hub's own (ITI-71, ITI-102), and tokens of others."""

from hub.app.settings_table import Table


class OAuth(Table):
    """Tokens for systems: an authorisation server of the hub's own (ITI-71, ITI-102), and tokens of others."""
