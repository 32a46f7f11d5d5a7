"""One request to the portal: who, in which language, and what pages may do with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hub.access.model import Principal
from hub.context import Context
from hub.errors import AccessDenied, HubError, NotAuthenticated
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import Transaction
from hub.portal.formats import figure
from hub.portal.handles import Handles
from hub.portal.texts import LANGUAGES
from hub.portal.texts.reasons import french
from hub.usecase import Command

SESSION_COOKIE = "maillage_session"  #: also read by the DICOMweb service, for the viewer
FORM_COOKIE = "maillage_form"  #: ties a sign-in form to the browser that got it
LANGUAGE_COOKIE = "maillage_language"


class Forged(AccessDenied):
    """A form without this session's token."""

    code = "forged"
    title = "The form does not belong to this session."


class Phrases:
    """The texts of one language: ``phrases("key", count=3)``."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._table = LANGUAGES[language]

    def __call__(self, key: str, **values: object) -> str:
        """The text, with its values."""
        text = self._table[key]
        if "count" in values:
            values["count"] = figure(values["count"], self.language)
        return text.format(**values) if values else text

    def maybe(self, key: str, otherwise: str) -> str:
        """The text if the table has one."""
        return self._table.get(key, otherwise)

    def reason(self, sentence: str) -> tuple[str, str]:
        """(the hub's own sentence in the visitor's language, its language): English where there is no other."""
        found = french(sentence) if self.language == "fr" else None
        return (found, "fr") if found is not None else (sentence, "en")

    def counted(self, key: str, count: int | None) -> str:
        """``key``, or ``key_one`` / ``key_none`` where the table has them; "" when nobody knows."""
        if count is None:
            return ""
        special = {0: f"{key}_none", 1: f"{key}_one"}.get(count, key)
        return self._table.get(special, self._table[key]).format(count=figure(count, self.language))


class Permits(Protocol):
    """The access room, as far as it decides."""

    def permit(self, principal: Principal, permission: str, context: Context) -> None:
        """Raises NotAuthenticated or AccessDenied."""
        ...


def permitted(access: Permits, permission: str, context: Context) -> bool:
    """Whether to offer or count something for whom the context names; the pipeline decides again when it is done."""
    try:
        access.permit(context.principal, permission, context)
    except HubError:
        return False
    return True


@dataclass(slots=True)
class Visit:
    """A request, decoded: a page is a function from a visit to a response."""

    pipeline: Pipeline
    phrases: Phrases
    path: str
    here: str = "/portal"  #: the page to come back to in another language: the form's, for what answers a form
    peer: str = ""
    secure: bool = False
    foreign: bool = False  #: the browser says that another site led here (Sec-Fetch-Site)
    certificate: bytes = field(default=b"", repr=False)  #: DER that the browser showed
    forwarded: bool = False  #: by a proxy
    partial: bool = False  #: asked for by portal.js: answer with a fragment
    principal: Principal | None = None
    token: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)  #: of the path
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    correlation_id: str = ""
    _handles: Handles | None = field(default=None, repr=False)

    @property
    def who(self) -> Principal:
        """The person signed in. Raises NotAuthenticated."""
        if self.principal is None:
            raise NotAuthenticated
        return self.principal

    @property
    def handles(self) -> Handles:
        """Seals what URLs may not say."""
        if self._handles is None:
            self._handles = Handles(self.token)
        return self._handles

    def perform(self, transaction: Transaction, command: Command, *touched: tuple[str, str]) -> Any:
        """Carry out a command, permitted and audited. ``touched``: what it is about beside what the rooms say (kind,
        reference). Raises HubError."""
        context = Context(peer=self.peer, session=self.token)
        for kind, reference in touched:
            context.touch(kind, reference)
        self.correlation_id = context.correlation_id
        return self.pipeline.perform(transaction, command, self.who, context)

    def may(self, permission: str) -> bool:
        """Whether to offer something; the pipeline decides again when it is done."""
        if self.principal is None:
            return False
        return permitted(self.pipeline.access, permission, Context(principal=self.principal, peer=self.peer))
