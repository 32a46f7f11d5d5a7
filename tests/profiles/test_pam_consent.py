"""What patients say, told by ADT messages over MLLP (ZFA-9 to ZFA-12): it counts at the next request."""

import pytest

from hub.access.model import Principal, Scheme
from hub.access.rights_model import Choice, Kind, Matter, Thing
from hub.context import Context
from hub.values import PatientIdentifier
from tests.profiles.running import OIDS, Region, cx, message, pid

PV1 = "PV1||I|7700^12^2^HOSPITAL_A|||||||||||||||||V1"
ZBE = "ZBE|M1^HOSPITAL_A|20260310110000||INSERT|N||Chir^^^^^^UF^^^7700||HMS"
SYSTEM = Context(principal=Principal("HIS", scheme=Scheme.CERTIFICATE))


def shown(region: Region, number: str) -> bool:
    thing = Thing(Kind.DOCUMENT, PatientIdentifier(number, OIDS["A"]))
    return region.hub.rights.visible([thing], SYSTEM)[0]


def said(region: Region, number: str, matter: Matter) -> Choice:
    return region.hub.rights.said(PatientIdentifier(number, OIDS["A"]), matter)


def test_five_messages(region: Region) -> None:
    number = region.fresh()

    def zfa(text: str, code: str = "A08") -> None:
        region.accepted(message(f"ADT^{code}", pid(number), PV1, ZBE, f"ZFA|ACTIF|20240301|||||||{text}"))

    zfa("INO|20240301|IC|20240301", "A01")
    assert shown(region, number)
    assert said(region, number, Matter.FEEDING) is Choice.CONSENT
    zfa("IO|20240302|INC|20240302")
    assert not shown(region, number)
    assert said(region, number, Matter.FEEDING) is Choice.OPPOSITION
    zfa("")  # absent fields change nothing
    assert not shown(region, number)
    zfa("||IC|20240229")  # an older word never beats a newer one
    assert not shown(region, number)
    zfa("||IC|20240303")
    assert shown(region, number)
    assert said(region, number, Matter.FEEDING) is Choice.OPPOSITION
    zfa("NA|20240304|NA|20240304")
    assert said(region, number, Matter.FEEDING) is Choice.UNKNOWN


@pytest.mark.parametrize(
    ("words", "feeding", "consultation"),
    [
        (("INO|20240301", "||INC|20240301"), Choice.CONSENT, Choice.OPPOSITION),  # each of another matter
        (("INO|20240301", "IO|20240302"), Choice.OPPOSITION, Choice.UNKNOWN),  # the later one counts
        (("IO|20240302", "INO|20240301"), Choice.OPPOSITION, Choice.UNKNOWN),
        (("IO|20240301", "INO|20240302"), Choice.CONSENT, Choice.UNKNOWN),
        (("INO|20240301|IC|20240301", "IO|20240301|INC|20240301"), Choice.OPPOSITION, Choice.OPPOSITION),
        (("IO|20240301|INC|20240301", "INO|20240301|IC|20240301"), Choice.OPPOSITION, Choice.OPPOSITION),
        (("IO|20240301", "INO|"), Choice.OPPOSITION, Choice.UNKNOWN),  # nobody knows which is later
        (("INO|", "IO|", "NA|"), Choice.OPPOSITION, Choice.UNKNOWN),
    ],
)
def test_several_zfa(region: Region, words: tuple[str, ...], feeding: Choice, consultation: Choice) -> None:
    """All are read; of what contradicts itself the more protective counts."""
    number = region.fresh()
    region.accepted(message("ADT^A08", pid(number), PV1, ZBE, *(f"ZFA|ACTIF||||||||{word}" for word in words)))
    assert [said(region, number, matter) for matter in (Matter.FEEDING, Matter.CONSULTATION)] == [feeding, consultation]


@pytest.mark.parametrize("date", ["00010101000000+1400", "99991231235959-1400"])
def test_a_date_that_no_clock_of_utc_has(region: Region, date: str) -> None:
    region.refused(message("ADT^A31", pid(region.fresh()), f"ZFA|||||||||INO|{date}"), "ZFA^1^10", "102")


def test_a_mistake_in_a_second_zfa_is_named(region: Region) -> None:
    zfa = ("ZFA|||||||||INO|20240301", "ZFA|||||||||PERHAPS")
    region.refused(message("ADT^A31", pid(region.fresh()), *zfa), "ZFA^2^9", "103")


@pytest.mark.parametrize("code", ["A28", "A31", "A05", "A03"])
def test_every_event_may_say_it(region: Region, code: str) -> None:
    number = region.fresh()
    region.accepted(message(f"ADT^{code}", pid(number), PV1, ZBE, "ZFA|||||||||||INC|20240301"))
    assert not shown(region, number)


def test_a_refused_message_says_nothing(region: Region) -> None:
    number = region.fresh()
    region.accepted(message("ADT^A28", pid(number)))
    region.refused(message("ADT^A31", pid(number), "ZFA|||||||||||INC|then"), "ZFA^1^12", "102")
    assert shown(region, number)


INC = "ZFA|||||||||||INC|20240301"


@pytest.mark.parametrize("code", ["A40", "A47"])
def test_a_merge_and_a_change_of_number_say_it_of_the_number_in_use(region: Region, code: str) -> None:
    kept, gone = region.fresh(), region.fresh()
    region.accepted(message("ADT^A28", pid(gone)))
    region.accepted(message(f"ADT^{code}", pid(kept), f"MRG|{cx(gone)}", INC))
    assert [shown(region, number) for number in (kept, gone)] == [False, False]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("code", ["A24", "A37"])
def test_of_two_numbers_it_is_said_of_the_one_that_it_follows(region: Region, code: str, place: int) -> None:
    numbers = [region.fresh(), region.fresh()]
    for number in numbers:
        region.accepted(message("ADT^A28", pid(number)))
    segments = [pid(numbers[0]), pid(numbers[1])]
    segments.insert(place + 1, INC)
    region.accepted(message(f"ADT^{code}", *segments))
    heard = [number for number in numbers if said(region, number, Matter.CONSULTATION) is Choice.OPPOSITION]
    assert heard == (numbers if code == "A24" else [numbers[place]])  # linked, they are one person
