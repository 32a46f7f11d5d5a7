"""A mail to the data-protection officer: that the glass was broken, and where to look. It names nobody."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

_SUBJECT = "Accès en urgence à examiner"
_TEXT = """Bonjour,

{region} : {count} accès en mode bris de glace ou régulation attendent votre examen.

Pour les consulter, après identification :
{link}

Ce message ne contient aucune donnée de santé. Merci de ne pas y répondre.
"""


def compose_digest(
    *, count: int, link: str, region: str, sender: str, recipient: str, message_id: str, at: datetime
) -> bytes:
    """The mail's bytes, with CRLF. ``count``: how many accesses await a look."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = sender, recipient
    mail["Date"], mail["Message-ID"] = format_datetime(at), message_id
    mail["Subject"], mail["Auto-Submitted"] = _SUBJECT, "auto-generated"
    mail.set_content(_TEXT.format(region=" ".join(region.split()), count=count, link=link))
    return mail.as_bytes()
