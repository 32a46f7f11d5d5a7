"""Letters as mails: XDM by e-mail (ITI TF-2: 3.32.4.1.4; référentiel MSSanté), and notices of what awaits."""

from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from hub.mail.model import LetterKind, Outgoing
from hub.patients.model import Traits

PACKAGE = "IHE_XDM.ZIP"
SUBJECT = "XDM/1.0/DDM+"
_TEXT = (
    "Bonjour,\n\nVous trouverez ci-joint un document médical, dans un paquet XDM que votre logiciel sait intégrer"
    "{pdf}.\n"
)
_PDF = ", et le même document en PDF pour le lire"
_SEVERAL = (
    "Bonjour,\n\nVous trouverez ci-joint {count} documents médicaux, dans un paquet XDM que votre logiciel sait "
    "intégrer{pdf} :\n\n{titles}\n"
)
_PDFS = ", et en PDF ceux qui peuvent se lire ainsi"
_NOTICE_SUBJECT = "Un document vous attend"
_NOTICE = (
    "Bonjour,\n\nUn document vous attend sur le portail {region}. Pour le lire, ouvrez ce lien et identifiez-vous :\n\n"
    "{link}\n\nCe message ne contient aucune donnée de santé. Le lien seul ne donne accès à rien.\n"
)


_TAKEN_BACK = {"withdrawn": "Un document envoyé a été retiré", "replaced": "Un document envoyé a été remplacé"}
_TAKEN_BACK_TEXT = {
    "withdrawn": (
        "Bonjour,\n\nUn document médical qui vous a été envoyé par le message cité en référence a été retiré par son "
        "auteur. Merci de ne plus l'utiliser et de le supprimer de votre dossier.\n"
    ),
    "replaced": (
        "Bonjour,\n\nUn document médical qui vous a été envoyé par le message cité en référence a été remplacé par une "
        "version plus récente. Merci de ne plus utiliser l'ancienne.\n"
    ),
}


@dataclass(frozen=True, slots=True)
class Attached:
    """What goes with a letter."""

    package: bytes = field(repr=False)
    pdfs: tuple[bytes, ...] = field(default=(), repr=False)


def compose(letter: Outgoing, attached: Attached | None, *, sender: str, region: str, at: datetime) -> bytes:
    """The mail's bytes, with CRLF. ``sender``: the hub's own box, which the reports come back to."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = letter.recipient
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = letter.message_id
    if letter.kind is LetterKind.WITHDRAWAL:
        mail["Subject"] = _TAKEN_BACK[letter.text]
        mail["In-Reply-To"] = mail["References"] = letter.about
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-MSS-MES"] = "FIN"
        mail.set_content(_TAKEN_BACK_TEXT[letter.text])
        return mail.as_bytes()
    if letter.kind is LetterKind.NOTICE or attached is None:
        mail["Subject"] = _NOTICE_SUBJECT
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(_NOTICE.format(region=_line(region), link=letter.link))
        return mail.as_bytes()
    mail["Subject"] = subject(letter)
    if letter.reply_to and not letter.no_reply:
        mail["Reply-To"] = letter.reply_to
    if letter.tell_reading:
        mail["Disposition-Notification-To"] = sender
    if letter.no_reply:
        mail["X-MSS-MES"] = "FIN"
    mail.set_content(letter.text or _usual_text(letter, attached))
    mail.add_attachment(attached.package, "application", "zip", filename=PACKAGE)
    for number, pdf in enumerate(attached.pdfs, 1):
        name = "DOCUMENT.PDF" if number == 1 else f"DOCUMENT{number}.PDF"
        mail.add_attachment(pdf, "application", "pdf", filename=name)
    return mail.as_bytes()


def _usual_text(letter: Outgoing, attached: Attached) -> str:
    titles = [_line(item.entry.title) or "Document" for item in letter.enclosed]
    if len(titles) < 2:
        return _TEXT.format(pdf=_PDF if attached.pdfs else "")
    listed = "\n".join(f"- {title}" for title in titles)
    return _SEVERAL.format(count=len(titles), pdf=_PDFS if attached.pdfs else "", titles=listed)


def subject(letter: Outgoing) -> str:
    """``XDM/1.0/DDM+`` and title (of the first document, how many follow it), name, given name, date of birth."""
    traits = letter.traits or Traits()
    title = letter.enclosed[0].entry.title[:120] if letter.enclosed else ""
    if len(letter.enclosed) > 1:
        title += f" (+ {len(letter.enclosed) - 1})"
    born = traits.birth_date
    date = f"{born[6:8]}/{born[4:6]}/{born[:4]}" if len(born) >= 8 else born
    return SUBJECT + _line(" ".join(filter(None, (title, traits.birth_name, traits.birth_given, date))))


def _line(text: str) -> str:
    """One line of header: nothing in it can begin another."""
    return " ".join("".join(item if item.isprintable() else " " for item in text).split())[:200]
