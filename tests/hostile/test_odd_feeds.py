"""Feeds as they are: fictitious patients by the thousand, numbers used again, wrong character sets, any script."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hub.values import PatientIdentifier
from hub.wire.hl7v2.client import MllpClient
from tests.profiles.running import OIDS, Region, answered, cx, message, pid, running

_CONNECTIONS = 24
FICTITIOUS = {"pid_5": "TEST^X^X^^^^L", "pid_7": "19000101", "pid_32": "VALI"}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with running(request, tmp_path_factory) as found:
        yield found


class Work:
    """What SQLite and PostgreSQL are asked while it counts: rows that come back, by way of the prepared statements."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from hub.storage.prepared import Prepared

        self.rows = 0
        self.statements = 0
        rows, first = Prepared.rows, Prepared.first

        def counted(prepared: Prepared, *args: Any) -> Any:
            found = list(rows(prepared, *args))
            self.rows += len(found)
            self.statements += 1
            return found

        def counted_first(prepared: Prepared, *args: Any) -> Any:
            self.statements += 1
            return first(prepared, *args)

        monkeypatch.setattr(Prepared, "rows", counted)
        monkeypatch.setattr(Prepared, "first", counted_first)

    def of(self, what: Any) -> tuple[int, int]:
        before = (self.rows, self.statements)
        what()
        return self.rows - before[0], self.statements - before[1]


def sent(region: Region, messages: list[bytes]) -> int:
    """How many were not accepted."""
    with MllpClient("127.0.0.1", region.hub.mllp.port, timeout=600) as client:
        return sum(b"MSA|AA|" not in client.send(text) for text in messages)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_of_one_fictitious_patient(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    """One name and birth date, other numbers: each stays alone, and the last one costs no more than the hundredth."""
    with MllpClient("127.0.0.1", region.hub.mllp.port, timeout=120) as client:

        def send(number: int, name: str) -> None:
            reply = answered(client.send(message("ADT^A28", pid(f"X{number}", name, **FICTITIOUS), name=name).encode()))
            assert reply.require("MSA").value(1) == "AA"

        for number in range(100):
            send(number, "ABC"[number % 3])
        work = Work(monkeypatch)
        early = work.of(lambda: send(100, "B"))
        monkeypatch.undo()
        raw = [
            message("ADT^A28", pid(f"X{number}", "ABC"[number % 3], **FICTITIOUS), name="ABC"[number % 3]).encode()
            for number in range(101, 9_999)
        ]
        parts = [raw[number::_CONNECTIONS] for number in range(_CONNECTIONS)]
        with ThreadPoolExecutor(_CONNECTIONS) as pool:  # as from many hospitals: what comes together shares a commit
            refused = sum(pool.map(sent, [region] * _CONNECTIONS, parts))
        assert refused == 0
        work = Work(monkeypatch)
        late = work.of(lambda: send(10_000, "B"))
        monkeypatch.undo()
    assert late[0] <= early[0] + 20, f"rows read by one message: {early[0]} then {late[0]}"
    assert late[1] <= early[1] + 20, f"statements of one message: {early[1]} then {late[1]}"
    for number in (0, 1, 2, 100, 5_000, 9_998):
        person = region.known(f"X{number}", "ABC"[number % 3])
        assert len(person.identities) == 1
    assert len(region.hub.patients.tasks(limit=1_000)) < 200, "stewards do not drown in what nobody can decide"


def test_a_number_that_is_used_again_for_somebody_else(region: Region) -> None:
    """Its links are left, a steward is asked, and the first person's other hospitals hear nothing of the second."""
    first = {"pid_5": "REUSED^ANNE^ANNE^^^^L", "pid_7": "19500101"}
    for name in "AB":
        region.accepted(message("ADT^A04", pid("RE1", name, **first), name=name))
    before = region.known("RE1")
    assert len(before.identities) == 2
    other = {"pid_5": "ENTIRELY^OTHER^OTHER^^^^L", "pid_7": "20010909", "pid_8": "M"}
    region.accepted(message("ADT^A04", pid("RE1", **other)))
    now = region.known("RE1")
    assert [item.identifier.value for item in now.identities] == ["RE1"]
    assert region.known("RE1", "B").regional != now.regional
    about = PatientIdentifier("RE1", OIDS["A"])
    kinds = [task.kind.value for task in region.hub.patients.tasks(limit=1_000) if about in task.identifiers]
    assert "strict-traits" in kinds


def test_a_character_set_that_is_not_the_one_it_says(region: Region) -> None:
    good = message("ADT^A28", pid("CS1", pid_5="LÉGER^ZOÉ^^^^^L"))
    reply = region.send(good.encode("iso8859-15"))
    assert (reply.require("MSA").value(1), reply.require("ERR").value(3)) == ("AR", "102")
    assert reply.require("ERR").field(2).startswith("PID^1^5")
    assert region.person("CS1") is None
    said = message("ADT^A28", pid("CS2", pid_5="LÉGER^ZOÉ^^^^^L"), charset="8859/1")
    region.accepted(said.encode("utf-8"))  # reads as Latin-1, wrongly: nobody can know
    region.accepted(message("ADT^A28", pid("CS2", "B", pid_5="LÉGER^ZOÉ^^^^^L"), name="B"))
    assert region.known("CS2").regional != region.known("CS2", "B").regional, "a garbled name joins nobody"
    region.accepted(message("ADT^A28", pid("CS3")))


SCRIPTS = {
    "arabic": ("مُحَمَّد", "فاطمة", "محمد"),
    "chinese": ("王", "小明", "王"),
    "cyrillic": ("Иванов", "Пётр", "иванов"),
    "greek": ("Παπαδόπουλος", "Ελένη", "παπαδοπουλος"),
    "combining": ("Le\u0301ger", "Zoe\u0301", "LÉGER"),
    "korean": ("김", "민준", "김"),
    "turkish": ("IŞIK", "İpek", "isik"),
    "vietnamese": ("Nguyễn", "Đặng", "nguyen"),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_names_of_every_script_are_kept_and_found(region: Region, script: str) -> None:
    family, given, asked = SCRIPTS[script]
    born = f"1971{1 + list(SCRIPTS).index(script):02d}17"
    region.accepted(message("ADT^A28", pid(f"S{script}", pid_5=f"{family}^{given}^^^^^L", pid_7=born)))
    query = f"QPD|IHE PDQ Query|{script}|@PID.5.1.1^{asked}~@PID.7.1^{born}"
    msh = f"MSH|^~\\&|PORTAL|B|HUB|REGION|20260310110000||QBP^Q22^QBP_Q21|{script}|P|2.5|||||FRA|UNICODE UTF-8"
    reply = region.send(f"{msh}\r{query}\rRCP|I\r")
    assert [(found.value(5), found.value(5, 2)) for found in reply.all("PID")] == [(family, given)]


def test_people_of_other_scripts_are_not_all_one(region: Region) -> None:
    """Same day, place and sex, names that have no Latin letter: strangers stay strangers, the same name may join."""
    people = [("王", "小明"), ("李", "小红"), ("محمد", "علي"), ("Иванов", "Пётр"), ("---", "..."), ("?", "?")]
    seen = []
    for number, (family, given) in enumerate(people):
        name = "ABC"[number % 3]
        same = {"pid_5": f"{family}^{given}^{given}^^^^L", "pid_7": "19720505"}
        region.accepted(message("ADT^A28", pid(f"O{number}", name, **same), name=name))
        seen.append(region.known(f"O{number}", name).regional)
    assert len(set(seen)) == len(people)
    region.accepted(message("ADT^A28", pid("O9", "B", pid_5="王^小明^小明^^^^L", pid_7="19720505"), name="B"))
    assert region.known("O9", "B").regional == seen[0]


@pytest.mark.parametrize("name", ["", "^", "^^^^^^L", '""', '""^""^^^^^L', "   ^  ^^^^^L"])
def test_an_empty_name_is_refused(region: Region, name: str) -> None:
    region.refused(message("ADT^A28", pid("EMPTY", pid_5=name)), "PID^1^5", "101")
    assert region.person("EMPTY") is None


def test_a_patient_with_two_hundred_numbers(region: Region) -> None:
    others = "~".join(f"N{number}^^^OTHER{number}&1.2.250.1.998.{number}&ISO^PI" for number in range(199))
    region.accepted(message("ADT^A28", pid("MANY", pid_3=f"{cx('MANY')}~{others}")))
    assert region.known("MANY").identities[0].identifier.value == "MANY"
    too_many = "~".join([cx("MANY2"), *(f"N{number}^^^A" for number in range(2_000))])
    reply = region.send(message("ADT^A28", pid("MANY2", pid_3=too_many)))
    assert reply.require("MSA").value(1) in ("AE", "AR")
    assert region.person("MANY2") is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1980", "1980"),
        ("198000", "1980"),
        ("198003", "198003"),
        ("19800230", "1980"),
        ("19801399", ""),
        ("0000", "0000"),
    ],
)
def test_birth_dates_that_are_known_in_part(region: Region, text: str, kept: str) -> None:
    number = f"D{text}"
    reply = region.send(message("ADT^A28", pid(number, pid_7=text)))
    if not kept:
        assert (reply.require("MSA").value(1), reply.require("ERR").field(2)) == ("AE", "PID^1^7")
        return
    assert region.known(number).traits.birth_date == kept
