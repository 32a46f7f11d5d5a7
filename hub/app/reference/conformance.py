"""The conformance page: IHE integration statement, DICOM conformance statement, HL7 v2, FHIR and limits.

Everything is read from the transactions' descriptors, the settings and the constants that the wires obey.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from pydicom.charset import python_encoding
from pydicom.uid import UID

from hub.app.reference.describe import where
from hub.app.settings.model import Settings
from hub.documents.queries import MOST_VALUES
from hub.documents.removal import MOST_IDS
from hub.documents.search import MOST_CANDIDATES
from hub.pipeline.catalogue import Catalogue
from hub.pipeline.transaction import Dicomweb, Dimse, Direction, Fhir, Hl7, Soap, Transaction
from hub.subscriptions.pull_points import MOST_AT_ONCE
from hub.wire import cda, multipart, xml
from hub.wire.dimse import association, client, contexts, pdu
from hub.wire.hl7v2 import charset, message

#: Profiles of IHE; what the hub offers beyond them is described by its own standard.
_BEYOND_IHE = "FHIR Imaging"
ASYNCHRONOUS = "Asynchronous Web Services Exchange"
#: The services that the hub asks of archives itself (connector ``dimse``), and for what it sends to destinations.
_ASKED = {
    "C-ECHO": (contexts.VERIFICATION,),
    "C-FIND": contexts.FIND,
    "C-GET": contexts.GET,
    "C-MOVE": contexts.MOVE,
}
_MEGABYTE = 1 << 20


def page(catalogue: Catalogue) -> str:
    """The whole page, in Markdown."""
    transactions = [bound.transaction for bound in catalogue]
    parts = [
        "# Conformance\n",
        "What the hub says of itself to those who connect to it. [Transactions](transactions.md) has every address, "
        "permission and audit event.\n",
        *_integration(transactions),
        *_dicom(transactions),
        *_hl7(transactions),
        *_fhir(transactions),
        *_limits(),
    ]
    return "\n".join([*parts, ""])


# IHE


def _integration(transactions: Sequence[Transaction]) -> Iterator[str]:
    yield "## IHE integration statement\n"
    yield "| profile | actor | options | transactions |\n|---|---|---|---|"
    rows: dict[tuple[str, str], list[Transaction]] = {}
    for item in transactions:
        if item.profile != _BEYOND_IHE:
            for actor in actors(item):
                rows.setdefault((item.profile, actor), []).append(item)
    for (profile, actor), items in rows.items():
        options = dict.fromkeys(option for item in items for option in options_of(item, actor))
        names = ", ".join(f"{item.id} ({item.section})" for item in items)
        yield f"| {profile} | {actor} | {'; '.join(options) or 'none'} | {names} |"
    yield ""


def actors(item: Transaction) -> tuple[str, ...]:
    """Which actors of a transaction the hub is."""
    sides = {Direction.RESPONDER: (item.responder,), Direction.INITIATOR: (item.initiator,)}
    return sides.get(item.direction, (item.responder, item.initiator))


def options_of(item: Transaction, actor: str) -> tuple[str, ...]:
    """What the actor supports of a transaction's options; a descriptor tells those of the side that answers."""
    if actor != item.responder and item.direction is not Direction.INITIATOR:
        return ()
    asynchronous = any(isinstance(binding, Soap) and binding.asynchronous for binding in item.bindings)
    return tuple(dict.fromkeys((*item.options, *((ASYNCHRONOUS,) if asynchronous else ()))))


# DICOM


def _dicom(transactions: Sequence[Transaction]) -> Iterator[str]:
    settings = Settings().dimse
    yield "## DICOM conformance statement\n"
    facts = {
        "AE title": f"`{settings.ae_title}` (`dimse.ae_title`), port {settings.port} (`dimse.port`), TLS where `[tls]` "
        "has a certificate",
        "Implementation": f"class UID `{pdu.IMPLEMENTATION_UID}`, version `{pdu.IMPLEMENTATION_NAME}`",
        "Maximum PDU length": f"{association.MAX_PDU} bytes",
        "Associations at once": f"{settings.max_associations} (`dimse.max_associations`)",
        "Presentation contexts in a proposal": f"{pdu.MAX_CONTEXTS} at most",
        "Callers": "any, or those of `dimse.callers`; C-MOVE sends to those of `dimse.destinations` only",
        "Extended negotiation": "none; a C-GET's requestor takes the SCP role by SCP/SCU role selection",
    }
    yield from (f"- {name}: {value}" for name, value in facts.items())
    yield "\n### Services\n\n| service | SOP class | SCP | SCU |\n|---|---|---|---|"
    offered = {"C-ECHO": [contexts.VERIFICATION]}
    for item in transactions:
        for binding in item.bindings:
            if isinstance(binding, Dimse):
                offered.setdefault(binding.service, []).extend(binding.sop_classes or ("",))
    for service in sorted(offered | _ASKED):
        for uid in dict.fromkeys((*offered.get(service, ()), *_ASKED.get(service, ()))):
            asked = uid in _ASKED.get(service, ()) or service == "C-STORE"
            yield f"| {service} | {_sop_class(uid)} | {_yes(uid in offered.get(service, ()))} | {_yes(asked)} |"
    yield f"\n### Storage SOP classes\n\nThe {len(contexts.STORAGE)} of the standard, and private ones:\n"
    yield from (f"- {_sop_class(uid)}" for uid in contexts.STORAGE)
    yield "\n### Transfer syntaxes\n"
    yield (
        "Objects are kept, and given, in the syntax in which they were sent; whatever syntax their sender prefers is "
        "accepted. What a receiver can't take is decompressed for it, video excepted. Queries use the first two. "
        "Proposed to archives:\n"
    )
    yield from (f"- {_name(uid)} (`{uid}`)" for uid in contexts.KNOWN)
    yield "\n### Character sets\n"
    yield "Answers are in ISO_IR 192. Read, with code extensions:\n"
    yield ", ".join(f"`{name}`" for name in sorted(key for key in python_encoding if key)) + "\n"
    yield "### DICOMweb\n"
    for item in transactions:
        yield from (f"- {item.id}: `{where(binding)}`" for binding in item.bindings if isinstance(binding, Dicomweb))
    yield ""


def _sop_class(uid: str) -> str:
    return f"{_name(uid)} (`{uid}`)" if uid else "every storage class"


def _name(uid: str) -> str:
    return contexts.JPEG_XL.get(uid) or str(UID(uid).name)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


# HL7 v2


def _hl7(transactions: Sequence[Transaction]) -> Iterator[str]:
    settings = Settings().mllp
    yield "## HL7 v2\n"
    yield (f"MLLP on port {settings.port} (`mllp.port`), ER7; acknowledgements in original and in enhanced mode.\n")
    yield "| message | transaction | the hub is |\n|---|---|---|"
    for item in transactions:
        for binding in item.bindings:
            if isinstance(binding, Hl7):
                yield f"| {', '.join(binding.events)} | {item.id} {item.title} | {', '.join(actors(item))} |"
    labels = ", ".join(f"`{label}`" for label in charset.LABELS)
    yield f"\nCharacter sets (MSH-18): {labels}; without it `{settings.default_charset}` (`mllp.default_charset`).\n"


# FHIR


def _fhir(transactions: Sequence[Transaction]) -> Iterator[str]:
    yield "## FHIR R4\n"
    yield "The CapabilityStatement is at `/fhir/metadata` of every hub, made of the same descriptors. In short:\n"
    yield "| resource | interaction | search parameters | transaction |\n|---|---|---|---|"
    rows: dict[tuple[str, str, str], str] = {}
    for item in transactions:
        for binding in item.bindings:
            if isinstance(binding, Fhir):  # a search is bound twice, by GET and by POST
                names = ", ".join(f"`{name}`" for name, _, _ in binding.search_parameters)
                key = binding.resource or "Bundle", binding.interaction, item.id
                rows[key] = rows.get(key, "") or names
    yield from (f"| {kind} | {how} | {names} | {name} |" for (kind, how, name), names in rows.items())
    yield ""


# Limits


def _limits() -> Iterator[str]:
    yield "## Limits\n"
    yield "What is larger is refused with the error of its protocol. Those with a setting can be changed.\n"
    yield "| what | at most | setting |\n|---|---|---|"
    for what, value, setting in _limit_rows():
        yield f"| {what} | {value} | {f'`{setting}`' if setting else ''} |"


def _limit_rows() -> Iterable[tuple[str, str, str]]:
    settings = Settings()

    def of(what: str, key: str, unit: str = "") -> tuple[str, str, str]:
        value: Any = reduce(getattr, key.split("."), settings)
        return what, f"{value} {unit}".strip(), key

    fixed: Mapping[str, str] = {
        "An XML message": f"{xml.MAX_BYTES // _MEGABYTE} MB, {xml.MAX_NODES} nodes, depth {xml.MAX_DEPTH}; no DTD",
        "Parts of a multipart message": str(multipart.MAX_PARTS),
        "A report (CDA) that is read": f"{cda.MAX_BYTES // _MEGABYTE} MB",
        "HL7 v2 segments of a message": str(message.MAX_SEGMENTS),
        "HL7 v2 repetitions of a field": str(message.MAX_REPETITIONS),
        "Characters of an HL7 v2 segment without a document": str(message.MAX_SEGMENT),
        "A DICOM query's identifier": f"{client.MAX_IDENTIFIER // _MEGABYTE} MB",
        "Values of a stored query": str(MOST_VALUES),
        "Objects that a question without a patient looks at (ITI-51)": str(MOST_CANDIDATES),
        "Objects of one removal (ITI-62, ITI-86)": str(MOST_IDS),
        "Notifications of one pull (ITI-70)": str(MOST_AT_ONCE),
    }
    return (
        of("A SOAP or FHIR message without its documents", "web.max_message_mb", "MB"),
        of("The body of a request, documents included", "web.max_body_mb", "MB"),
        of("An HL7 v2 message", "mllp.max_message_mb", "MB"),
        of("Seconds that an HL7 v2 connection may be idle", "mllp.idle_timeout"),
        of("DICOM associations at once", "dimse.max_associations"),
        of("Studies in one answer", "imaging.max_studies"),
        of("Minutes of a session in the portal without a request", "security.session_minutes"),
        *((what, value, "") for what, value in fixed.items()),
    )
