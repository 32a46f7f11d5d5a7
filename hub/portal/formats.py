"""How values are shown: dates, names, sizes. Pure functions; nothing here decides."""

import re
import unicodedata
from datetime import UTC, date, datetime

_DTM = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.\d+)?([+-]\d{4})?")
_TYPED_DATE = re.compile(r"(\d{1,2})[/.\- ]?(\d{1,2})[/.\- ]?(\d{4})")
_ISO_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")


def day(dtm: str, language: str) -> str:
    """A DTM or DICOM date as people write it: 12/03/2024, 03/2024, 2024; English likewise, with the month's name."""
    match = _DTM.match(dtm or "")
    if not match:
        return ""
    year, month, day_of_month = match.group(1), match.group(2), match.group(3)
    if language == "fr":
        return "/".join(part for part in (day_of_month, month, year) if part)
    named = MONTHS[int(month) - 1] if month and 1 <= int(month) <= 12 else ""
    return " ".join(part for part in (day_of_month, named, year) if part)


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def clock(dtm: str) -> str:
    """The time of day of a DTM text, "" when it has none."""
    match = _DTM.match(dtm or "")
    return f"{match.group(4)}:{match.group(5)}" if match and match.group(4) and match.group(5) else ""


def local(dtm: str) -> str:
    """A DTM text in UTC (XDS) as DTM text in the server's time zone; shorter ones stay as they are."""
    match = _DTM.fullmatch(dtm or "")
    if not match or not match.group(5):
        return dtm
    try:
        instant = datetime.strptime(dtm[:12], "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return dtm
    return instant.astimezone().strftime("%Y%m%d%H%M%S")


def machine(dtm: str) -> str:
    """The ``datetime`` attribute of a ``<time>``."""
    match = _DTM.match(dtm or "")
    if not match:
        return ""
    text = "-".join(part for part in match.groups()[:3] if part)
    return f"{text}T{match.group(4)}:{match.group(5)}" if match.group(3) and match.group(5) else text


def instant(value: datetime | None, language: str) -> str:
    """A moment, to the second, in the server's time zone."""
    if value is None:
        return ""
    here = value.astimezone()
    return f"{day(here.strftime('%Y%m%d'), language).replace(' ', chr(0xA0))} {here:%H:%M:%S}"


def days(since: datetime, until: datetime | None = None) -> int:
    """How many days ago."""
    return max(0, ((until or datetime.now(UTC)) - since).days)


def visible(text: str) -> str:
    """What is sent to deceive the eye made visible: control characters, invisible ones, changes of direction."""
    return "".join(f"[U+{ord(letter):04X}]" if _hidden(letter) else letter for letter in text)


def _hidden(letter: str) -> bool:
    return letter not in "\u200c\u200d" and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def figure(value: object, language: str) -> str:
    """A number with its thousands apart: by a narrow no-break space in French, by a comma in English. What is no whole
    number stays as it is."""
    if not isinstance(value, int) or isinstance(value, bool):
        return str(value)
    return f"{value:,}".replace(",", "\u202f") if language == "fr" else f"{value:,}"


def signed(value: float, language: str) -> str:
    """A number with its sign and one decimal: +3.2, \u22121.0; with a comma in French."""
    text = f"{value:+.1f}".replace("-", "\u2212")
    return text.replace(".", ",") if language == "fr" else text


def percent(part: float, language: str) -> str:
    """A probability; never 0 % or 100 %, which no score can say."""
    value = part * 100
    text = "< 0.01" if value < 0.01 else "> 99.99" if value > 99.99 else f"{value:.2f}"
    return f"{text.replace('.', ',')}\u00a0%" if language == "fr" else f"{text}%"


def size(octets: int | None, language: str = "en") -> str:
    """12 B, 3.4 kB, 5.6 MB; in French 12 o, 3,4 ko, 5,6 Mo."""
    if octets is None:
        return ""
    amount, steps, unit = float(octets), ("", "k", "M", "G", "T"), "o" if language == "fr" else "B"
    step = 0
    while amount >= 1000 and step < len(steps) - 1:
        amount, step = amount / 1000, step + 1
    text = f"{amount:.1f}" if step else f"{amount:.0f}"
    return f"{text.replace('.', ',') if language == 'fr' else text}\u00a0{steps[step]}{unit}"


_SHOWN = 24  #: characters of a reference that are shown whole


def short(reference: str) -> str:
    """A long UID or key, its middle left out: 2.25.23020…006668940. The whole belongs into a title beside it."""
    return reference if len(reference) <= _SHOWN else f"{reference[:10]}…{reference[-9:]}"


def sorted_place(destination: str) -> tuple[str, str]:
    """A delivery's destination: what it is (source, feed, national-record ...), and which one."""
    parts = destination.split("/" if "/" in destination.split(":", maxsplit=1)[0] else ":", 1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def typed_date(text: str) -> str | None:
    """YYYYMMDD from what people type: 12/03/1958, 12031958, 1958-03-12, 1958. "" stays "", nonsense is None."""
    text = text.strip()
    if re.fullmatch(r"(18|19|20)\d\d", text) or not text:
        return text
    for pattern, order in ((_TYPED_DATE, (3, 2, 1)), (_ISO_DATE, (1, 2, 3))):
        match = pattern.fullmatch(text)
        if match:
            try:
                return date(*(int(match.group(index)) for index in order)).strftime("%Y%m%d")
            except ValueError:
                continue
    return None


def typed_identifier(text: str) -> str:
    """An identifier as typed: an INS is often written in groups ("1 85 05 78 006 084 91")."""
    text = text.strip()
    compact = re.sub(r"[\s.\u00a0\u202f]", "", text)
    return compact if re.fullmatch(r"[0-9]{6}[0-9AB]{7,9}|[0-9]+", compact) else text


def age(birth_date: str, today: date | None = None) -> tuple[str, int] | None:
    """("years", n), or ("months", n) below two years; None when the birth date isn't a full date."""
    match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", birth_date or "")
    if not match:
        return None
    try:
        born = date(*(int(part) for part in match.groups()))
    except ValueError:
        return None
    today = today or datetime.now().astimezone().date()
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    if months < 0:
        return None
    return ("months", months) if months < 24 else ("years", months // 12)


def component(text: str, *positions: int) -> str:
    """Components of an HL7 v2 text (XCN, XON), joined by blanks; positions from 1."""
    parts = (text or "").split("^")
    return " ".join(parts[position - 1] for position in positions if len(parts) >= position and parts[position - 1])


def person_name(dicom: str) -> str:
    """A DICOM PN as people write it: family name, given name."""
    family, *rest = (dicom or "").split("=")[0].split("^")
    return " ".join(part for part in (family, *rest[:1]) if part)
