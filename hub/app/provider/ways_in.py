"""The ways in that the portal's sign-in page offers, as the settings have them."""

from collections.abc import Callable
from dataclasses import dataclass

from hub.access.service import AccessService
from hub.access.sign_in import SignInService
from hub.app.provider.client import Provider
from hub.app.provider.sign_in import ProviderSignIn
from hub.app.settings.model import Settings
from hub.storage.engine import Database


@dataclass(frozen=True)
class WaysIn:
    """``password``: of configured users. ``card``: by mutual TLS. ``provider``: who vouches for persons."""

    password: bool
    card: bool
    provider: ProviderSignIn | None


def build(settings: Settings, database: Database, access: AccessService, public_url: Callable[[], str]) -> WaysIn:
    """From the settings. Nothing is asked of a provider yet. Raises Misconfigured."""
    provider = None
    if settings.pro_sante_connect.issuer is not None:
        client = Provider(settings.pro_sante_connect, settings.tls)
        provider = ProviderSignIn(client, SignInService(database=database), access, public_url)
    shown = settings.tls.certificate is not None and settings.tls.client_certificates != "none"
    card = bool(settings.cards.authorities) and (shown or bool(settings.web.trusted_proxy))
    return WaysIn(password=bool(settings.users) or not (card or provider), card=card, provider=provider)
