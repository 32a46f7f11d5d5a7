"""Signing in with Pro Santé Connect (OpenID Connect), or with another provider of its kind."""

from hub.app.settings_table import Table


class ProSanteConnect(Table):
    """Signing in with Pro Santé Connect (OpenID Connect), or with another provider of its kind."""
