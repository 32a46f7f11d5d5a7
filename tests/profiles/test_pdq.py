"""PDQ over MLLP on a running hub: every parameter, wildcards, portions, visits."""

import itertools
from collections.abc import Mapping

import pytest

from hub.wire.hl7v2.message import Hl7Message
from tests.profiles.running import OIDS, Region, cx, message, pid

_TAGS = itertools.count(1)
PV1 = "PV1||I|7700^12^2^HOSPITAL_A||||801^HOUSE^GREGORY|||CARD|||||||||V77^^^HOSPITAL_A&1.2.250.1.999.71&ISO^VN"
FIELDS = {
    "pid_5": "O'NEILL-DUPRÉ^MARIE ÈVE^MARIE ÈVE^^^^L~USEDONE^EVE^^^^^D",
    "pid_6": "MOTHERMAIDEN",
    "pid_7": "19610203",
    "pid_11": "12 RUE DES LILAS^^DIJON^^21000^FRA^H~^^^^^^BDL^^21231",
    "pid_13": "0380112233",
    "pid_18": "ACC42^^^HOSPITAL_A&1.2.250.1.999.71&ISO^AN",
}


@pytest.fixture(scope="module", autouse=True)
def _eve(region: Region) -> None:
    region.accepted(message("ADT^A01", pid("EVE", **FIELDS), PV1))
    for number in range(5):
        region.accepted(message("ADT^A28", pid(f"PAGE{number}", pid_5=f"PAGE^{chr(65 + number)}^^^^^L")))


def ask(
    region: Region,
    criteria: Mapping[str, str],
    *,
    event: str = "QBP^Q22^QBP_Q21",
    domains: str = "",
    rcp: str = "RCP|I",
    dsc: str = "",
    tag: str = "",
) -> Hl7Message:
    items = "~".join(f"{name}^{value}" for name, value in criteria.items())
    tag = tag or f"T{next(_TAGS)}"
    msh = f"MSH|^~\\&|PORTAL|B|HUB|REGION|20260310110000||{event}|{tag}|P|2.5|||||FRA|UNICODE UTF-8"
    query = f"QPD|IHE PDQ Query|{tag}|{items}|||||{domains}"
    return region.send("\r".join([msh, query, rcp, *([f"DSC|{dsc}|I"] if dsc else []), ""]))


def names(reply: Hl7Message) -> list[str]:
    assert reply.require("MSA").value(1) == "AA", reply.raw
    return [segment.value(5, 2) for segment in reply.all("PID")]


@pytest.mark.parametrize(
    "criteria",
    [
        {"@PID.3.1": "EVE"},
        {"@PID.3.1": "EVE", "@PID.3.4.1": "HOSPITAL_A"},
        {"@PID.3.1": "EVE", "@PID.3.4.2": OIDS["A"], "@PID.3.4.3": "ISO", "@PID.3.5": "PI"},
        {"@PID.5.1.1": "O'NEILL"},
        {"@PID.5.1": "o neill dupre"},
        {"@PID.5.1.1": "USEDON*"},
        {"@PID.5.1.1": "O", "@PID.7.1": "19610203"},
        {"@PID.5.1.1": "DUP*", "@PID.7": "19610203"},
        {"@PID.5.2": "MAR", "@PID.7.1": "19610203"},
        {"@PID.5.2": "EVE", "@PID.7.1": "19610203"},
        {"@PID.7.1": "19610203", "@PID.8": "F"},
        {"@PID.5.1.1": "ONEILL", "@PID.6.1": "MOTHERMAIDEN"},
        {"@PID.5.1.1": "ONEILL", "@PID.11.1": "12 RUE", "@PID.11.3": "dijon", "@PID.11.5": "21*", "@PID.11.6": "FRA"},
        {"@PID.5.1.1": "ONEILL", "@PID.11.9": "21231"},
        {"@PID.5.1.1": "ONEILL", "@PID.13.1": "03 80 11 22 33"},
        {"@PID.13.1": "+33 3 80 11 22 33"},
        {"@PID.6.1": "Mothermaiden"},
        {"@PID.11.1": "12, rue des*", "@PID.5.2": "EVE"},
        {"@PID.11.5": "21000"},
        {"@PID.11.3": "Dij*", "@PID.8": "F"},
        {"@PID.18.1": "ACC42"},
        {"@PID.5.1.1": "ONEILL", "@PID.18.1": "ACC42", "@PID.18.4.2": OIDS["A"]},
    ],
    ids=str,
)
def test_every_parameter_finds(region: Region, criteria: dict[str, str]) -> None:
    assert names(ask(region, criteria)) == ["MARIE ÈVE"]


@pytest.mark.parametrize(
    "criteria",
    [
        {"@PID.3.1": "EVE", "@PID.3.4.2": OIDS["B"]},
        {"@PID.5.1.1": "ONEILL", "@PID.8": "M"},
        {"@PID.5.1.1": "ONEILL", "@PID.6": "OTHER"},
        {"@PID.5.1.1": "ONEILL", "@PID.13": "0102030405"},
        {"@PID.5.1.1": "ONEILL", "@PID.11.9": "75112"},
        {"@PID.5.1.1": "X", "@PID.7.1": "19610203"},
        {"@PID.18.1": "ACC4"},
    ],
    ids=str,
)
def test_every_parameter_excludes(region: Region, criteria: dict[str, str]) -> None:
    reply = ask(region, criteria)
    assert names(reply) == []
    assert reply.require("QAK").value(2) == "NF"


@pytest.mark.parametrize(
    ("criteria", "location", "condition"),
    [
        ({"@PID.5.1.1": "*"}, "QPD^1^3^1^2", "102"),
        ({"@PID.5.1.1": "%%"}, "QPD^1^3^1^2", "102"),
        ({"@PID.5.1.1": "*NEILL"}, "QPD^1^3^1^2", "102"),
        ({"@PID.5.1.1": "O*LL"}, "QPD^1^3^1^2", "102"),
        ({"@PID.5.1.1": "ONEILL", "@PID.5.2": "*"}, "QPD^1^3^2^2", "102"),
        ({"@PID.3.1": "EV*"}, "QPD^1^3^1^2", "102"),
        ({"@PID.5.1.1": "O"}, "QPD^1^3", "102"),
        ({"@PID.8": "F"}, "QPD^1^3", "102"),
        ({"@PID.5.2": "MARIE"}, "QPD^1^3", "102"),
        ({"@PID.11.6": "FRA"}, "QPD^1^3", "102"),
        ({"@PID.13.1": "0380"}, "QPD^1^3", "102"),
        ({"@PID.6.1": "M"}, "QPD^1^3", "102"),
        ({"@PV1.3.1": "7700"}, "QPD^1^3^1^1", "103"),
        ({"@PID.30": "Y"}, "QPD^1^3^1^1", "103"),
    ],
    ids=str,
)
def test_who_asks_for_everybody_is_refused(
    region: Region, criteria: dict[str, str], location: str, condition: str
) -> None:
    reply = ask(region, criteria)
    assert reply.require("MSA").value(1) == "AE"
    assert (reply.require("ERR").field(2), reply.require("ERR").value(3)) == (location, condition)


def test_domains(region: Region) -> None:
    reply = ask(region, {"@PID.3.1": "EVE"}, domains=f"^^^HOSPITAL_A&{OIDS['A']}&ISO")
    assert [item.text for item in reply.require("PID").repetitions(3)] == [cx("EVE")]
    reply = ask(region, {"@PID.5.1.1": "ONEILL"}, domains=f"^^^HOSPITAL_A&{OIDS['A']}&ISO~^^^X&1.2.3&ISO")
    assert (reply.require("MSA").value(1), reply.require("ERR").value(3)) == ("AE", "204")
    assert reply.require("ERR").field(2) == "QPD^1^8^2"


def test_portions_and_their_end(region: Region) -> None:
    criteria, seen, dsc = {"@PID.5.1.1": "PAGE"}, [], ""
    for left in ("3", "1", "0"):
        reply = ask(region, criteria, rcp="RCP|I|2^RD", dsc=dsc)
        seen += names(reply)
        assert [reply.require("QAK").value(number) for number in (4, 6)] == ["5", left]
        dsc = found.value(1) if (found := reply.first("DSC")) else ""
    assert (sorted(seen), dsc) == (list("ABCDE"), "")


def test_what_was_cancelled_does_not_go_on(region: Region) -> None:
    reply = ask(region, {"@PID.5.1.1": "PAGE"}, rcp="RCP|I|2^RD", tag="CANCELLED")
    dsc = reply.require("DSC").value(1)
    msh = "MSH|^~\\&|PORTAL|B|HUB|REGION|20260310110000||QCN^J01^QCN_J01|c1|P|2.5"
    assert region.send(f"{msh}\rQID|CANCELLED|IHE PDQ Query\r").require("MSA").value(1) == "AA"
    reply = ask(region, {"@PID.5.1.1": "PAGE"}, rcp="RCP|I|2^RD", dsc=dsc)
    assert (reply.require("MSA").value(1), reply.require("ERR").field(2)) == ("AE", "DSC^1^1")
    for bad in ("0", "x", "-1"):
        reply = ask(region, {"@PID.5.1.1": "PAGE"}, dsc=bad)
        assert (reply.require("MSA").value(1), reply.require("ERR").field(2)) == ("AE", "DSC^1^1")
    assert region.send(f"{msh.replace('c1', 'c2')}\rQID|\r").require("ERR").field(2) == "QID^1^1"


# Who is where: visits, of ITI-22

ZV1 = "QBP^ZV1^QBP_Q21"


@pytest.mark.parametrize(
    "criteria",
    [
        {"@PV1.19.1": "V77"},
        {"@PV1.19": "V77"},
        {"@PV1.3.1": "7700"},
        {"@PV1.3": "77*", "@PV1.2": "I", "@PV1.10": "CARD"},
        {"@PV1.3.1": "7700", "@PV1.3.2": "12", "@PV1.3.3": "2", "@PV1.7.1": "801", "@PV1.7.2": "hou"},
        {"@PID.5.1.1": "ONEILL"},
        {"@PID.5.1.1": "ONEILL", "@PV1.2": "I"},
        {"@PID.18.1": "ACC42", "@PV1.2": "I"},
    ],
    ids=str,
)
def test_visits_are_found(region: Region, criteria: dict[str, str]) -> None:
    reply = ask(region, criteria, event=ZV1)
    assert names(reply) == ["MARIE ÈVE"]
    assert (reply.event, reply.msh.value(9, 3)) == ("RSP^ZV2", "RSP_ZV2")
    pv1 = reply.require("PV1")
    assert (pv1.value(2), pv1.value(3), pv1.value(19), pv1.value(7, 2)) == ("I", "7700", "V77", "HOUSE")
    assert reply.require("PID").value(18) == "ACC42"
    assert [item.name for item in reply.segments] == ["MSH", "MSA", "QAK", "QPD", "PID", "PV1"]


@pytest.mark.parametrize(
    "criteria",
    [{"@PV1.19": "V7"}, {"@PV1.3": "7700", "@PV1.2": "O"}, {"@PID.5.1.1": "PAGE"}, {"@PV1.19": "V77", "@PID.8": "M"}],
    ids=str,
)
def test_who_is_not_there_is_not_found(region: Region, criteria: dict[str, str]) -> None:
    reply = ask(region, criteria, event=ZV1)
    if "@PID.8" in criteria:  # a sex selects nobody
        assert (reply.require("MSA").value(1), reply.require("ERR").field(2)) == ("AE", "QPD^1^3")
        return
    assert names(reply) == []


def test_visit_questions_that_ask_for_everybody(region: Region) -> None:
    for criteria, location in (
        ({"@PV1.2": "I"}, "QPD^1^3"),
        ({"@PV1.3": "*"}, "QPD^1^3^1^2"),
        ({"@PV1.4": "X"}, "QPD^1^3^1^1"),
        ({"@PV1.3.9": "X"}, "QPD^1^3^1^1"),
    ):
        reply = ask(region, criteria, event=ZV1)
        assert (reply.require("MSA").value(1), reply.require("ERR").field(2)) == ("AE", location)


def test_a_visit_follows_a_merge(region: Region) -> None:
    region.accepted(message("ADT^A01", pid("WAS", pid_5="MERGED^A^^^^^L"), PV1.replace("V77", "V88")))
    region.accepted(message("ADT^A28", pid("IS", pid_5="MERGED^A^^^^^L")))
    region.accepted(message("ADT^A40", pid("IS", pid_5=""), f"MRG|{cx('WAS')}"))
    for criteria in ({"@PV1.19": "V88"}, {"@PID.3.1": "IS", "@PID.3.4.2": OIDS["A"]}):
        assert names(ask(region, criteria, event=ZV1)) == ["A"]


def test_domains_by_their_namespace(region: Region) -> None:
    reply = ask(region, {"@PID.3.1": "EVE"}, domains="^^^HOSPITAL_A")
    assert [item.text for item in reply.require("PID").repetitions(3)] == [cx("EVE")]
    reply = ask(region, {"@PID.5.1.1": "ONEILL"}, domains="^^^NOBODY_HERE")
    assert (reply.require("MSA").value(1), reply.require("ERR").field(2)) == ("AE", "QPD^1^8^1")


@pytest.mark.parametrize("event", ["QBP^Q22^QBP_Q21", "QBP^ZV1^QBP_Q21"])
def test_without_a_number_in_the_domain_the_list_is_empty(region: Region, event: str) -> None:
    reply = ask(region, {"@PID.5.1.1": "ONEILL"}, event=event, domains=f"^^^HOSPITAL_B&{OIDS['B']}&ISO")
    assert names(reply) == ["MARIE ÈVE"]
    assert reply.require("PID").field(3) == ""
    assert reply.require("QAK").value(2) == "OK"


@pytest.mark.parametrize("event", ["QBP^Q22^QBP_Q21", "QBP^ZV1^QBP_Q21"])
def test_a_former_regional_number_is_not_told_as_one_in_use(region: Region, event: str) -> None:
    """It still finds, and PIX tells none either."""
    kept, lost = region.fresh(), region.fresh()
    for number in (kept, lost):
        region.accepted(message("ADT^A01", pid(number, pid_5=f"ALIASSE{kept}^ANNE^^^^^L"), PV1))
    region.accepted(message("ADT^A40", pid(kept, pid_5=""), f"MRG|{cx(lost)}"))
    assert region.known(kept).aliases
    reply = ask(region, {"@PID.5.1.1": f"ALIASSE{kept}"}, event=event)
    assert reply.require("MSA").value(1) == "AA"
    numbers = {item.value(1) for item in reply.require("PID").repetitions(3)}
    assert numbers == {region.known(kept).regional.value, kept}


def test_a_number_that_was_merged_away_still_finds(region: Region) -> None:
    region.accepted(message("ADT^A28", pid("GONE", pid_5="MERGEDAWAY^A^^^^^L")))
    region.accepted(message("ADT^A28", pid("STAYS", pid_5="MERGEDAWAY^B^^^^^L")))
    region.accepted(message("ADT^A40", pid("STAYS", pid_5=""), f"MRG|{cx('GONE')}"))
    region.accepted(message("ADT^A47", pid("AGAIN", pid_5=""), f"MRG|{cx('STAYS')}"))
    for number in ("GONE", "STAYS", "AGAIN"):
        assert names(ask(region, {"@PID.3.1": number, "@PID.3.4.2": OIDS["A"]})) == ["B"]
