"""Every sentence of the portal, one table per language; a test holds their keys equal."""

import re
from collections.abc import Mapping

from hub.portal.texts.details_en import DETAILS_EN
from hub.portal.texts.details_fr import DETAILS_FR
from hub.portal.texts.en import EN
from hub.portal.texts.fr import FR
from hub.portal.texts.letter_en import LETTER_EN
from hub.portal.texts.letter_fr import LETTER_FR
from hub.portal.texts.mail_en import MAIL_EN
from hub.portal.texts.mail_fr import MAIL_FR
from hub.portal.texts.national_en import NATIONAL_EN
from hub.portal.texts.national_fr import NATIONAL_FR
from hub.portal.texts.operator_en import OPERATOR_EN
from hub.portal.texts.operator_fr import OPERATOR_FR
from hub.portal.texts.record_en import RECORD_EN
from hub.portal.texts.record_fr import RECORD_FR
from hub.portal.texts.remote_en import REMOTE_EN
from hub.portal.texts.remote_fr import REMOTE_FR
from hub.portal.texts.rights_en import RIGHTS_EN
from hub.portal.texts.rights_fr import RIGHTS_FR
from hub.portal.texts.sign_in_en import SIGN_IN_EN
from hub.portal.texts.sign_in_fr import SIGN_IN_FR
from hub.portal.texts.steward_en import STEWARD_EN
from hub.portal.texts.steward_fr import STEWARD_FR
from hub.portal.texts.trail_en import TRAIL_EN
from hub.portal.texts.trail_fr import TRAIL_FR

_FRENCH = (
    *(FR, OPERATOR_FR, STEWARD_FR, SIGN_IN_FR, RECORD_FR, MAIL_FR, LETTER_FR, NATIONAL_FR, TRAIL_FR, RIGHTS_FR),
    *(REMOTE_FR, DETAILS_FR),
)
_ENGLISH = (
    *(EN, OPERATOR_EN, STEWARD_EN, SIGN_IN_EN, RECORD_EN, MAIL_EN, LETTER_EN, NATIONAL_EN, TRAIL_EN, RIGHTS_EN),
    *(REMOTE_EN, DETAILS_EN),
)


def _typeset(text: str) -> str:
    """French: no line begins with a colon, no quotation mark stands alone."""
    return re.sub(r" (?=[:;?!»])|(?<=«) |(?<=\d) (?=h\b)", "\u00a0", text)


LANGUAGES: Mapping[str, Mapping[str, str]] = {
    "fr": {key: _typeset(text) for table in _FRENCH for key, text in table.items()},
    "en": dict(item for table in _ENGLISH for item in table.items()),
}
DEFAULT = "fr"


def choose(cookie: str, accept_language: str) -> str:
    """The visitor's language: their own choice, else the best of Accept-Language (RFC 9110: 12.5.4), else French."""
    if cookie in LANGUAGES:
        return cookie
    weighted = []
    for position, part in enumerate(accept_language.split(",")[:20]):
        tag, _, parameters = part.strip().partition(";")
        quality = parameters.strip().removeprefix("q=") or "1"
        try:
            weighted.append((-float(quality), position, tag.strip().lower().split("-")[0]))
        except ValueError:
            continue
    return next((tag for weight, _, tag in sorted(weighted) if weight < 0 and tag in LANGUAGES), DEFAULT)
