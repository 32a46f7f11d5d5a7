# ruff: noqa: D102  (the names say it; what is not obvious has a docstring)
"""What the portal needs of the hub: small protocols, so that it never imports the application that builds it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hub.access.model import Credentials, Principal, Professional
from hub.access.sign_in_model import Entered, Waiting
from hub.audit.model import AuditPage, AuditSearch
from hub.connector.contract import Capability, Check
from hub.connector.loader import SourceHealth
from hub.context import Context
from hub.errors import HubError
from hub.exchange.model import Delivery, InboxMessage, Page, Summary
from hub.imaging.manifest_model import CheckReport
from hub.patients.details_model import IdentityDetails
from hub.patients.model import Link, Person, TaskKind
from hub.pipeline.catalogue import Catalogue
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import Transaction
from hub.subscriptions.model import Subscription
from hub.usecase import Command
from hub.values import PatientIdentifier


class Access(Protocol):
    """Portal sessions, and what a person may do."""

    def sign_in(self, login: str, password: str) -> str:
        """A session's token. Raises NotAuthenticated."""
        ...

    def sign_out(self, token: str) -> None: ...

    def authenticate(self, credentials: Credentials) -> Principal: ...

    def open_session(self, principal: Principal, *, provider: str = "", provider_session: str = "") -> str:
        """A session's token, for somebody who proved who they are."""
        ...

    def permit(self, principal: Principal, permission: str, context: Context, command: Command | None = None) -> None:
        """Raises NotAuthenticated or AccessDenied."""
        ...


class ProviderSignIn(Protocol):
    """Signing in with a provider. ``secret``: the browser's. All may raise NotAuthenticated and Unavailable."""

    @property
    def title(self) -> str: ...
    @property
    def phone(self) -> bool: ...

    def begin(self, secret: str, target: str, language: str) -> str:
        """Where the browser goes."""
        ...

    def finish(self, secret: str, query: Mapping[str, str]) -> Entered: ...

    def call(self, secret: str, number: str, target: str) -> None: ...

    def waiting(self, secret: str) -> Waiting: ...

    def answered(self, secret: str) -> Entered | None: ...

    def cancel(self, secret: str) -> None: ...

    def choices(self, secret: str) -> Sequence[Professional]: ...

    def target(self, secret: str) -> str:
        """Where the choice leads."""
        ...

    def choose(self, secret: str, number: int) -> Entered:
        """Raises Invalid as well."""
        ...

    def leave(self, session: str) -> str:
        """Where the browser goes to end the provider's session, "" for nowhere."""
        ...

    def ended(self, logout_token: str) -> int:
        """How many sessions ended. Raises HubError."""
        ...


class WaysIn(Protocol):
    """How people can sign in."""

    @property
    def password(self) -> bool: ...
    @property
    def card(self) -> bool: ...
    @property
    def provider(self) -> ProviderSignIn | None: ...


class Audit(Protocol):
    """The audit trail: written for sign-ins, read by operators."""

    def record(self, transaction: Transaction, context: Context, error: HubError | None, milliseconds: int) -> None: ...

    def search(self, search: AuditSearch) -> AuditPage:
        """Records, newest first."""
        ...


class Exchange(Protocol):
    """The operator's lists, newest first."""

    def messages(self, page: Page) -> Sequence[InboxMessage]: ...

    def message(self, message_id: str) -> InboxMessage:
        """With its bytes. Raises NotFound."""
        ...

    def deliveries(self, page: Page) -> Sequence[Delivery]: ...

    def delivery(self, delivery_id: str) -> Delivery:
        """Raises NotFound."""
        ...

    def summary(self) -> Summary: ...


class Subscriptions(Protocol):
    """Who is told of what is registered."""

    def active(self, limit: int = ...) -> Sequence[Subscription]:
        """Those that have not ended, the newest first."""
        ...


class SourceSettings(Protocol):
    """A configured source."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def authority(self) -> str: ...


class AuthoritySettings(Protocol):
    """A configured assigning authority."""

    @property
    def oid(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...


class RegionSettings(Protocol):
    """The region."""

    @property
    def name(self) -> str: ...
    @property
    def affinity_domain(self) -> str: ...


class WebSettings(Protocol):
    """How the hub is reached."""

    @property
    def public_url(self) -> str: ...
    @property
    def trusted_proxy(self) -> str: ...


class RecordSettings(Protocol):
    """The national record."""

    @property
    def read_with(self) -> Sequence[str]: ...


class DrimboxSettings(Protocol):
    """Other DRIMboxes, and local archives."""

    @property
    def export_to(self) -> Sequence[str]: ...


class PortalSettings(Protocol):
    """The settings that pages need."""

    @property
    def region(self) -> RegionSettings: ...
    @property
    def sources(self) -> Sequence[SourceSettings]: ...
    @property
    def authorities(self) -> Sequence[AuthoritySettings]: ...
    @property
    def viewer(self) -> Path | None: ...
    @property
    def web(self) -> WebSettings: ...
    @property
    def record(self) -> RecordSettings: ...
    @property
    def drimbox(self) -> DrimboxSettings: ...


class Sources(Protocol):
    """The open connectors."""

    def can(self, name: str, capability: Capability) -> bool: ...

    def check(self, name: str) -> Sequence[Check]:
        """A source's self-test. Raises HubError when its connector can't be opened."""
        ...

    def health(self) -> Sequence[SourceHealth]: ...


class Life(Protocol):
    """The checks of what is published."""

    def last(self) -> CheckReport | None:
        """The newest, finished or not."""
        ...


class Patients(Protocol):
    """The patient index, for those who look after it."""

    def person(self, identifier: PatientIdentifier) -> Person | None:
        """None when it means nobody, or not one person."""
        ...

    def links(self, identifier: PatientIdentifier) -> Sequence[Link]:
        """Why a person's identities are together, and were. Raises UnknownIdentifier."""
        ...


class Details(Protocol):
    """What hospitals say of identities beside their traits."""

    def of_person(self, regional: PatientIdentifier) -> Sequence[IdentityDetails]: ...


class Stewardship(Protocol):
    """The stewards' open questions."""

    def waiting(self) -> Mapping[TaskKind, int]:
        """How many there are, by kind."""
        ...


class Orphans(Protocol):
    """Studies that nobody knows the patient of."""

    def count(self) -> int: ...


class PortalHub(Protocol):
    """The hub, as the portal sees it."""

    @property
    def settings(self) -> PortalSettings: ...
    @property
    def pipeline(self) -> Pipeline: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def access(self) -> Access: ...
    @property
    def ways_in(self) -> WaysIn: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def exchange(self) -> Exchange: ...
    @property
    def subscriptions(self) -> Subscriptions: ...
    @property
    def sources(self) -> Sources: ...
    @property
    def life(self) -> Life: ...
    @property
    def patients(self) -> Patients: ...
    @property
    def details(self) -> Details: ...
    @property
    def stewardship(self) -> Stewardship: ...
    @property
    def orphans(self) -> Orphans: ...

    def vocabulary_problem(self) -> str:
        """Why the vocabulary file as it is now is not used; "" when it is, or when there is none."""
        ...
