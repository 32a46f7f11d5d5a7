"""What an assertion says about the user, by the names of its dialect: XUA (ITI TF-2: 3.40) or VIHF (CI-SIS)."""

from hub.access.assertion_model import Assertion, Claims, Coded
from hub.wire.saml import names

_MODE = (names.MODE, names.MODE_CAPITAL)
_SYSTEM_OF_TEXT = ""


def xua(assertion: Assertion) -> Claims:
    """IHE's attributes. A purpose or a role may be a code or a plain text."""
    named = assertion.text(names.SUBJECT_ID)
    return Claims(
        subject=assertion.text(names.NPI, names.PROVIDER).partition("^")[0] or assertion.subject.text,
        names=(named,) if named else (),
        roles=_codes(assertion, names.ROLE),
        structure=assertion.text(names.ORGANIZATION_ID).removeprefix("urn:oid:"),
        structure_name=assertion.text(names.ORGANIZATION),
        purpose=next(iter(_codes(assertion, names.PURPOSE)), None),
        mode=assertion.context_class.rpartition(":")[2],
        about=assertion.text(names.RESOURCE),
        reason=assertion.text(names.REASON),
        missing=tuple(
            label
            for label, name in (("subject-id", names.SUBJECT_ID), ("role", names.ROLE))
            if not assertion.values(name)
        ),
    )


def vihf(assertion: Assertion) -> Claims:
    """The attributes of CI-SIS. Version and Ressource_URN are the business of who asks for them."""
    texts = [value for value in assertion.values(names.SUBJECT_ID) if isinstance(value, str) and value]
    needed = {
        names.VERSION: (names.VERSION,),
        names.STRUCTURE: (names.STRUCTURE,),
        names.ROLE: (names.ROLE,),
        names.PURPOSE: (names.PURPOSE,),
        names.MODE: _MODE,
    }
    return Claims(
        subject=assertion.subject.text,
        names=tuple(texts[:2]),
        roles=_codes(assertion, names.ROLE),
        structure=assertion.text(names.STRUCTURE),
        sector=assertion.text(names.SECTOR).partition("^")[0],
        purpose=next(iter(_codes(assertion, names.PURPOSE)), None),
        mode=assertion.text(*_MODE),
        about=assertion.text(names.RESOURCE),
        reason=assertion.text(names.REASON),
        secret=bool(assertion.values(names.CONFIDENTIALITY)),
        missing=tuple(label for label, ways in needed.items() if not any(assertion.values(*ways))),
    )


def _codes(assertion: Assertion, name: str) -> tuple[Coded, ...]:
    return tuple(
        value if isinstance(value, Coded) else Coded(value, _SYSTEM_OF_TEXT)
        for value in assertion.values(name)
        if value
    )


READERS = {"xua": xua, "vihf": vihf}
