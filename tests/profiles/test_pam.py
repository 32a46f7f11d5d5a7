"""PAM and PAM France over MLLP, on a running hub: every event, the movements, the French segments, the INS."""

import pytest

from hub.context import Context
from hub.exchange.model import Page
from hub.patients.ins_model import key_of
from hub.patients.model import IdentityStatus
from hub.patients.store_visits import NUMBER as VISIT_NUMBER
from hub.patients.store_visits import VisitStore
from hub.patients.visits_model import FindVisits, Visit
from hub.values import PatientIdentifier
from hub.wire.hl7v2.events import EVENTS, Effect
from hub.wire.hl7v2.message import Hl7Message
from tests.profiles.running import OIDS, Region, cx, message, pid

PV1 = "PV1||I|7700^12^2^HOSPITAL_A||||801^HOUSE^GREGORY|||CARD|||||||||V1^^^HOSPITAL_A&1.2.250.1.999.71&ISO^VN"
ENCOUNTERS = sorted(code for code, event in EVENTS.items() if event.transaction == "ITI-31" and code != "Z99")


def visit(region: Region, number: str) -> Visit | None:
    with region.hub.database.reading() as work:
        return VisitStore(work).get(PatientIdentifier(number, OIDS["A"]))


def zbe(action: str = "INSERT", historic: str = "N", original: str = "", movement: str = "M1") -> str:
    return f"ZBE|{movement}^HOSPITAL_A|20260310110000||{action}|{historic}|{original}|Chir^^^^^^UF^^^7700||HMS"


@pytest.mark.parametrize("code", ENCOUNTERS)
def test_every_encounter_announces_its_patient(region: Region, code: str) -> None:
    number = region.fresh()
    region.accepted(message(f"ADT^{code}", pid(number), PV1, zbe()))
    person = region.known(number)
    assert (person.traits.birth_name, person.status) == ("LEGER", IdentityStatus.VALIDATED)
    expected = EVENTS[code].effect is Effect.VISIT
    assert (visit(region, number) is not None) == expected


@pytest.mark.parametrize("code", ["A02", "A06", "A11", "A21"])
def test_an_encounter_needs_a_visit(region: Region, code: str) -> None:
    region.refused(message(f"ADT^{code}", pid(region.fresh())), "PV1^1", "100")
    region.refused(message(f"ADT^{code}", pid(region.fresh()), "PV1||"), "PV1^1^2", "101")
    region.refused(message(f"ADT^{code}", pid(region.fresh()), "PV1||X"), "PV1^1^2", "103")


def test_a_stay_from_admission_to_discharge(region: Region) -> None:
    number = region.fresh()
    region.accepted(message("ADT^A01^ADT_A01", pid(number), PV1, zbe()))
    moved = PV1.replace("7700^12^2", "8800^1^1")
    region.accepted(message("ADT^A02^ADT_A02", pid(number), moved, zbe(movement="M2"), recorded="20260311080000"))
    now = visit(region, number)
    assert now is not None
    assert (now.fields[3].partition("^")[0], now.movement.partition("^")[0]) == ("8800", "M2")
    region.accepted(message("ADT^A12", pid(number), PV1, zbe("CANCEL", movement="M2"), recorded="20260311090000"))
    now = visit(region, number)
    assert now is not None
    assert now.fields[3].startswith("7700")
    region.accepted(message("ADT^A03", pid(number), PV1, zbe(movement="M3"), recorded="20260312080000"))
    assert visit(region, number) is None
    region.accepted(message("ADT^A13", pid(number), PV1, zbe("CANCEL", movement="M3"), recorded="20260312090000"))
    assert visit(region, number) is not None
    straggler = PV1.replace("7700^12^2", "6600")
    region.accepted(message("ADT^A02", pid(number), straggler, zbe(movement="M0"), recorded="20260309080000"))
    now = visit(region, number)
    assert now is not None
    assert now.fields[3].startswith("7700"), "what is older says nothing of now"
    region.accepted(message("ADT^A11", pid(number), PV1, zbe("CANCEL"), recorded="20260313090000"))
    assert visit(region, number) is None
    assert region.person(number) is not None, "an admission is taken back, not the person"


def test_the_end_of_another_stay_is_not_the_end_of_this_one(region: Region) -> None:
    number = region.fresh()
    region.accepted(message("ADT^A01", pid(number), PV1))
    region.accepted(message("ADT^A03", pid(number), PV1.replace("V1^", "V0^"), recorded="20260312080000"))
    assert visit(region, number) is not None


@pytest.mark.parametrize("code", ["A40", "A47"])
def test_a_stay_goes_on_under_the_number_that_remains(region: Region, code: str) -> None:
    old, new = region.fresh(), region.fresh()
    region.accepted(message("ADT^A01", pid(old), PV1))
    region.accepted(message(f"ADT^{code}", pid(new), f"MRG|{cx(old)}"))
    region.accepted(message("ADT^A02", pid(new), PV1, recorded="20260311080000"))
    assert (visit(region, old), visit(region, new) is not None) == (None, True)
    region.accepted(message("ADT^A03", pid(new), PV1, recorded="20260312080000"))
    assert visit(region, new) is None


@pytest.mark.parametrize("code", ["A40", "A47"])
def test_a_stay_ends_under_the_number_that_remains(region: Region, code: str) -> None:
    old, new = region.fresh(), region.fresh()
    region.accepted(message("ADT^A01", pid(old), PV1))
    region.accepted(message(f"ADT^{code}", pid(new), f"MRG|{cx(old)}"))
    region.accepted(message("ADT^A03", pid(new), PV1, recorded="20260312080000"))
    assert (visit(region, old), visit(region, new)) == (None, None)


@pytest.mark.parametrize(("code", "left"), [("A03", "V2"), ("A02", "V1")])
def test_a_merge_leaves_two_stays_until_more_is_said(region: Region, code: str, left: str) -> None:
    """Each number had its own: the end of the one that was merged away ends it; a move of it is its one place."""
    old, new = region.fresh(), region.fresh()
    region.accepted(message("ADT^A01", pid(old), PV1))
    region.accepted(message("ADT^A01", pid(new, pid_5="LEGER^ZOE^^^^^L"), PV1.replace("V1^", "V2^")))
    region.accepted(message("ADT^A40", pid(new), f"MRG|{cx(old)}"))
    assert (visit(region, old) is not None, visit(region, new) is not None) == (True, True)
    region.accepted(message(f"ADT^{code}", pid(new), PV1, recorded="20260312080000"))
    found = visit(region, new)
    assert found is not None
    assert found.number is not None
    assert (visit(region, old), found.number.value) == (None, left)


def test_who_is_withdrawn_is_nowhere(region: Region) -> None:
    number = region.fresh()
    region.accepted(message("ADT^A01", pid(number), PV1))
    region.accepted(message("ADT^A29", pid(number, pid_5=""), "PV1||N"))
    assert visit(region, number) is None


def test_who_is_withdrawn_is_nowhere_under_a_number_before(region: Region) -> None:
    old, new = region.fresh(), region.fresh()
    region.accepted(message("ADT^A01", pid(old), PV1.replace("V1^", f"V{old}^")))
    region.accepted(message("ADT^A40", pid(new), f"MRG|{cx(old)}"))
    asked = FindVisits(fields={VISIT_NUMBER: f"V{old}"})
    assert region.hub.visits.find(asked, Context()).total == 1
    region.accepted(message("ADT^A29", pid(new, pid_5=""), "PV1||N"))
    assert region.hub.visits.find(asked, Context()).total == 0


def test_what_is_historic_changes_nothing_of_now(region: Region) -> None:
    number = region.fresh()
    region.accepted(message("ADT^A01", pid(number), PV1))
    old = pid(number, pid_5="OLDNAME^ZOE^^^^^L")
    moved = PV1.replace("7700^12^2", "9900")
    region.accepted(message("ADT^Z99", old, moved, zbe("UPDATE", "Y", "A02"), recorded="20260312080000"))
    now = visit(region, number)
    assert now is not None
    assert now.fields[3].startswith("7700")
    assert region.known(number).traits.birth_name == "LEGER"
    other = region.fresh()
    region.accepted(message("ADT^Z99", pid(other), moved, zbe("UPDATE", "Y", "A02")))
    assert (region.person(other) is not None, visit(region, other)) == (True, None), "who is not known yet is announced"


@pytest.mark.parametrize(("original", "there"), [("A01", True), ("A03", False)])
def test_z99_changes_the_movement_that_it_names(region: Region, original: str, there: bool) -> None:
    number = region.fresh()
    region.accepted(message("ADT^A01", pid(number), PV1))
    region.accepted(message("ADT^Z99", pid(number), PV1, zbe("UPDATE", "N", original), recorded="20260312080000"))
    assert (visit(region, number) is not None) is there


@pytest.mark.parametrize("nature", ["S", "H", "M", "L", "D", "SM", "MS", "SH", "MH", "LD", "HMS", "MHS"])
def test_every_nature_of_a_movement(region: Region, nature: str) -> None:
    moved = f"ZBE|M1^HOSPITAL_A|20260310110000||INSERT|N||||{nature}"
    region.accepted(message("ADT^A02", pid(region.fresh()), PV1, moved))


def test_a_correction_is_of_z99_only(region: Region) -> None:
    number = region.fresh()
    corrected = "ZBE|M1^HOSPITAL_A|20260310110000||{action}|N|A01|||C"
    region.accepted(message("ADT^Z99", pid(number), PV1, corrected.format(action="UPDATE")))
    region.refused(message("ADT^A01", pid(number), PV1, corrected.format(action="INSERT")), "ZBE^1^9", "103")


@pytest.mark.parametrize(
    ("segments", "location", "condition"),
    [
        ([], "ZBE^1", "100"),
        (["ZBE||20260310||INSERT|N"], "ZBE^1^1", "101"),
        (["ZBE|M1|||UPDATE|N|A02"], "ZBE^1^2", "101"),
        (["ZBE|M1|20260310||DELETE|N"], "ZBE^1^4", "103"),
        (["ZBE|M1|20260310||UPDATE|X"], "ZBE^1^5", "103"),
        (["ZBE|M1|20260310||UPDATE|N"], "ZBE^1^6", "101"),
        (["ZBE|M1|20260310||UPDATE|N|A02|||XX"], "ZBE^1^9", "103"),
        (["ZBE|M1|20260310||UPDATE|N|A02|||HMSS"], "ZBE^1^9", "103"),
        (["ZBE|M1|20260310||INSERT|N"], "ZBE^1^4", "103"),
        (["ZBE|M1|20260310||CANCEL|N|A01"], "ZBE^1^4", "103"),
        (["ZBE|M1|20260310||INSERT|N", "ZFM|8|9|7|X"], "ZFM^1^4", "103"),
        (["ZBE|M1|20260310||INSERT|N", "ZFM|8||||6"], "ZFM^1^5", "103"),
        (["ZBE|M1|20260310||INSERT|N", "ZFP|9"], "ZFP^1^1", "103"),
        (["ZBE|M1|20260310||INSERT|N", "ZFA|OPEN"], "ZFA^1^1", "103"),
        (["ZBE|M1|20260310||INSERT|N", "ZFA|||||||||PERHAPS"], "ZFA^1^9", "103"),
        (["ZBE|M1|20260310||INSERT|N", "ZFA|||||||||INO|yesterday"], "ZFA^1^10", "102"),
        (["ZBE|M1|20260310||INSERT|N", "ZFD|X^2^1950"], "ZFD^1^1", "102"),
        (["ZBE|M1|20260310||INSERT|N", "ZFD||||N|INSI|notadate"], "ZFD^1^6", "102"),
        (["ZBE|M1|20260310||INSERT|N", "ZFV||||20261310"], "ZFV^1^4", "102"),
        (["ZBE|M1|20260310||INSERT|N", "ZFM|88"], "ZFM^1^1", "103"),
    ],
)
def test_a_mistake_in_a_french_segment_is_named(
    region: Region, segments: list[str], location: str, condition: str
) -> None:
    number = region.fresh()
    region.refused(message("ADT^Z99", pid(number), PV1, *segments), location, condition)
    assert region.person(number) is None


def test_the_french_segments_of_a_real_admission(region: Region) -> None:
    number = region.fresh()
    french = ["ZFA|ACTIF|20240301|||||||INO|20240301|IC|20240301", "ZFP|", "ZFV||||||RUE^^DIJON^^21000^100", "ZFM|8|||"]
    zfd = "ZFD|10^13^1950||Y|N|INSI|20211201||"
    region.accepted(message("ADT^A01^ADT_A01", pid(number), "PD1|", PV1, "PV2|", zbe(), *french, zfd))
    assert region.person(number) is not None


# Links, unlinks, changes of number


def test_an_owner_links_and_unlinks_its_own(region: Region) -> None:
    one, other = region.fresh(), region.fresh()
    for number in (one, other):
        region.accepted(message("ADT^A28", pid(number, pid_7="19520316" if number == one else "19520317")))
    assert region.known(one).regional != region.known(other).regional
    pair = (pid(one, pid_5="", pid_7=""), "PV1||N", pid(other, pid_5="", pid_7=""))
    region.accepted(message("ADT^A24^ADT_A24", *pair))
    assert region.known(one).regional == region.known(other).regional
    region.accepted(message("ADT^A37^ADT_A37", *pair))
    assert region.known(one).regional != region.known(other).regional


def said_of(region: Region, number: str) -> dict[str, str]:
    (one,) = region.hub.details.of_person(region.known(number).regional) or (None,)
    return one.details.said if one is not None else {}


def test_how_an_identity_was_checked_is_kept(region: Region) -> None:
    """ZFD and ZFP; what a message leaves out stays, of two checks the later one counts, two quotes delete."""
    number = region.fresh()
    zfd = "ZFD|31^02^1952|39|Y|N|INSI|20211201101500|CN|20301231"
    region.accepted(message("ADT^A28", pid(number), "ZFA|ACTIF|20210101", zfd, "ZFP|7|74"))
    first = {
        "obtained": "INSI", "checked_on": "20211201", "document": "CN", "document_until": "20301231",
        "date_corrected": "N", "lunar_date": "31/02/1952", "gestation_weeks": "39", "text_messages": "Y",
        "occupation": "7", "occupation_group": "74",
    }  # fmt: skip
    assert said_of(region, number) == first
    region.accepted(message("ADT^A31", pid(number)))
    region.accepted(message("ADT^A01", pid(number), PV1, zbe()))
    assert said_of(region, number) == first
    region.accepted(message("ADT^A01", pid(number), PV1, zbe(), 'ZFD|""|||||||'))
    assert said_of(region, number) == {name: value for name, value in first.items() if name != "lunar_date"}
    region.accepted(message("ADT^A01", pid(number), PV1, zbe(), "ZFD|||||SM||PA|"))
    now = said_of(region, number)
    assert {name: now.get(name) for name in ("obtained", "checked_on", "document", "document_until")} == {
        "obtained": "SM", "checked_on": None, "document": "PA", "document_until": None,
    }  # fmt: skip
    past = zbe("UPDATE", "Y", "A01")
    region.accepted(message("ADT^Z99", pid(number), PV1, past, "ZFD|||||CV", recorded="20260312080000"))
    assert said_of(region, number) == now, "what is historic changes nothing of now"


def test_what_is_said_goes_with_its_number(region: Region) -> None:
    one, other = region.fresh(), region.fresh()
    for number, document in ((one, "CN"), (other, "PA")):
        born = "19520316" if number == one else "19520318"
        region.accepted(message("ADT^A28", pid(number, pid_7=born), f"ZFD|||||SM||{document}"))
    pair = (pid(one, pid_5="", pid_7=""), "PV1||N", pid(other, pid_5="", pid_7=""))
    region.accepted(message("ADT^A24", *pair))
    told = region.hub.details.of_person(region.known(one).regional)
    assert {(item.identity.value, item.details.document) for item in told} == {(one, "CN"), (other, "PA")}
    assert {item.identity.namespace for item in told} == {"HOSPITAL_A"}
    region.accepted(message("ADT^A37", *pair))
    assert (said_of(region, one)["document"], said_of(region, other)["document"]) == ("CN", "PA")
    region.accepted(message("ADT^A40", pid(one), f"MRG|{cx(other)}"))
    assert said_of(region, one)["document"] == "CN"


def test_links_name_their_mistakes(region: Region) -> None:
    one = region.fresh()
    region.accepted(message("ADT^A28", pid(one)))
    region.refused(message("ADT^A24", pid(one)), "PID^2", "100")
    region.refused(message("ADT^A24", pid(one), pid("x"), pid("y")), "PID^3", "102")
    region.refused(message("ADT^A24", pid(one), pid(one)), "PID^2^3", "102")
    region.refused(message("ADT^A37", pid(one), pid("nobody")), "PID^2^3", "204")


def test_an_owner_changes_a_number(region: Region) -> None:
    old, new = region.fresh(), region.fresh()
    region.accepted(message("ADT^A28", pid(old)))
    before = region.known(old).regional
    region.accepted(message("ADT^A47^ADT_A30", pid(new), f"MRG|{cx(old)}"))
    assert region.known(new).regional == before
    assert region.known(old).regional == before, "the old one still answers"
    region.refused(message("ADT^A47", pid(new), f"MRG|{cx(new)}"), "MRG^1^1", "102")
    region.refused(message("ADT^A47", pid(new)), "MRG^1", "100")
    region.refused(message("ADT^A47", pid(new), "MRG|"), "MRG^1^1", "101")


def test_how_an_identity_was_checked_goes_with_its_number(region: Region) -> None:
    """A47: the same patient, the same check; also when the number goes back, and when it is said twice."""
    old, new = region.fresh(), region.fresh()
    region.accepted(message("ADT^A28", pid(old), "ZFD|||Y|N|INSI|20211201101500|CN|20301231"))
    before = said_of(region, old)
    assert before["document"] == "CN"
    for number, left in ((new, old), (new, old), (old, new)):
        region.accepted(message("ADT^A47^ADT_A30", pid(number), f"MRG|{cx(left)}"))
        (one,) = region.hub.details.of_person(region.known(number).regional)
        assert (one.identity.value, one.details.said) == (number, before)
    region.accepted(message("ADT^A31", pid(old), "ZFD|||||SM||PA|"))
    assert said_of(region, old)["document"] == "PA"
    region.accepted(message("ADT^A47^ADT_A30", pid(new), f"MRG|{cx(old)}", "ZFD|||||CV||CS|"))
    assert said_of(region, new)["document"] == "CS"


def test_a_merge_and_a_link_say_how_an_identity_was_checked(region: Region) -> None:
    """A40: of the number that remains; A24: what follows a PID is of that."""
    one, two, three = (region.fresh() for _ in range(3))
    for number in (one, two, three):
        region.accepted(message("ADT^A28", pid(number)))
    region.accepted(message("ADT^A40^ADT_A39", pid(one), f"MRG|{cx(two)}", "ZFD|||||INSI|20240102|CN"))
    assert said_of(region, one) == {"obtained": "INSI", "checked_on": "20240102", "document": "CN"}
    region.accepted(message("ADT^A24^ADT_A24", pid(one), "ZFD|||||SM||PA", pid(three), "ZFD|||||CV||CS"))
    found = {item.identity.value: item.details for item in region.hub.details.of_person(region.known(one).regional)}
    assert (found[one].document, found[three].document) == ("PA", "CS")
    region.accepted(message("ADT^A24^ADT_A24", pid(two), "ZFD|||||SM||AN", pid(three)))
    found = {item.identity.value: item.details for item in region.hub.details.of_person(region.known(one).regional)}
    assert (found[one].document, found[three].document) == ("PA", "CS"), "a number in use no more says nothing"


@pytest.mark.parametrize("code", ["A40", "A47"])
def test_a_number_that_is_in_use_no_more_warns(region: Region, code: str) -> None:
    """Somebody else's traits under it are not taken: whoever sends them is told, in an answer that stops no feed."""
    old, new = region.fresh(), region.fresh()
    region.accepted(message("ADT^A28", pid(old)))
    region.accepted(message(f"ADT^{code}", pid(new), f"MRG|{cx(old)}"))
    for event, segments in (("A28", []), ("A01", [PV1, zbe()])):
        somebody = pid(old, pid_5="TOUTAUTRE^PAUL^^^^^L", pid_7="20010203")
        reply = region.accepted(message(f"ADT^{event}", somebody, *segments))
        err = reply.require("ERR")
        assert (err.field(2), err.field(4), err.value(5)) == ("PID^1^3", "W", "number-merged")
    assert region.known(old).traits.birth_name == "LEGER"
    assert visit(region, old) is None


def test_an_owner_deletes_an_identity(region: Region) -> None:
    number = region.fresh()
    region.accepted(message("ADT^A28", pid(number)))
    region.accepted(message("ADT^A29^ADT_A21", pid(number, pid_5=""), "PV1||N"))
    query = "\r".join(
        [
            f"MSH|^~\\&|PORTAL|P|HUB|REGION|20260310110000||QBP^Q23^QBP_Q21|q{number}|P|2.5",
            f"QPD|IHE PIX Query|q{number}|{cx(number)}",
            "RCP|I",
            "",
        ]
    )
    reply = region.send(query)
    assert (reply.require("MSA").value(1), reply.require("ERR").value(3)) == ("AE", "204")


def test_a_number_that_is_too_long_is_named(region: Region) -> None:
    region.refused(message("ADT^A28", pid(region.fresh() * 200)), "PID^1^3", "102")


# The INS

NUMBER = "2790351215189"
RIGHT = NUMBER + key_of(NUMBER)
CORSICAN = "279032A215189"


def with_ins(number: str, matricule: str, status: str = "VALI", oid: str = "1.2.250.1.213.1.4.8") -> str:
    return pid(number, pid_3=f"{cx(number)}~{matricule}^^^ASIP-SANTE-INS-NIR&{oid}&ISO^INS^^20211201", pid_32=status)


def kept(region: Region, number: str) -> tuple[str, IdentityStatus]:
    (identity,) = (item for item in region.known(number).identities if item.identifier.value == number)
    return identity.ins.value if identity.ins else "", identity.status


def warning(reply: Hl7Message) -> tuple[str, str, str]:
    err = reply.first("ERR")
    return (err.field(2), err.value(4), err.value(5)) if err is not None else ("", "", "")


def test_validated_with_matricule_and_oid_is_qualified(region: Region) -> None:
    for matricule in (RIGHT, CORSICAN + key_of(CORSICAN)):
        number = region.fresh()
        reply = region.accepted(message("ADT^A28", with_ins(number, matricule), "ZFD|||Y|N|INSI|20211201||"))
        assert kept(region, number) == (matricule, IdentityStatus.QUALIFIED)
        assert warning(reply) == ("", "", "")


@pytest.mark.parametrize(
    ("matricule", "status", "reason", "left"),
    [
        (NUMBER + "99", "VALI", "ins-key", IdentityStatus.VALIDATED),
        (CORSICAN + key_of("2790321215189"), "VALI", "ins-key", IdentityStatus.VALIDATED),
        (RIGHT, "PROV", "ins-not-qualified", IdentityStatus.PROVISIONAL),
        (RIGHT, "", "ins-not-qualified", IdentityStatus.PROVISIONAL),
        (RIGHT, "RECUP", "ins-not-qualified", IdentityStatus.RETRIEVED),
    ],
)
def test_what_may_not_be_kept_of_an_ins_is_told(
    region: Region, matricule: str, status: str, reason: str, left: IdentityStatus
) -> None:
    number = region.fresh()
    reply = region.accepted(message("ADT^A28", with_ins(number, matricule, status)))
    assert warning(reply) == ("PID^1^3", "W", reason)
    assert kept(region, number) == ("", left)
    assert matricule not in reply.raw.decode()
    control_id = reply.require("MSA").value(2)
    (stored,) = (item for item in region.hub.exchange.messages(Page(limit=200)) if item.control_id == control_id)
    assert ("warning", reason) in [(item.kind, item.reference) for item in stored.effects]


def test_an_ins_that_two_people_have_is_named_in_the_question(region: Region) -> None:
    mine = "2790351215" + "777"
    for number, born in ((region.fresh(), "19790315"), (region.fresh(), "19800415")):
        text = with_ins(number, mine + key_of(mine)).replace("19520317", born)
        region.accepted(message("ADT^A28", text))
    lines = [
        "MSH|^~\\&|PORTAL|P|HUB|REGION|20260310110000||QBP^Q23^QBP_Q21|q1|P|2.5",
        f"QPD|IHE PIX Query|q1|{mine + key_of(mine)}^^^&1.2.250.1.213.1.4.8&ISO",
        "RCP|I",
        "",
    ]
    region.refused("\r".join(lines), "QPD^1^3^1^1", "207")


def test_a_number_of_the_insurance_is_no_ins(region: Region) -> None:
    number = region.fresh()
    text = pid(number, pid_3=f"{cx(number)}~{RIGHT}^^^CNAM&1.2.250.1.215&ISO^SS")
    assert warning(region.accepted(message("ADT^A28", text))) == ("", "", "")
    assert kept(region, number) == ("", IdentityStatus.VALIDATED)


@pytest.mark.parametrize(("code", "segments"), [("A11", (PV1, zbe("CANCEL"))), ("A08", (PV1,)), ("A31", ())])
def test_a_short_message_takes_nothing_away(region: Region, code: str, segments: tuple[str, ...]) -> None:
    number = region.fresh()
    region.accepted(message("ADT^A28", pid(number)))
    before = region.known(number)
    short = f"PID|||{cx(number)}||LEGER^^^^^^L"
    region.accepted(message(f"ADT^{code}", short, *segments))
    after = region.known(number)
    assert (after.traits, after.status) == (before.traits, before.status)
    region.accepted(message(f"ADT^{code}", f'{short}||""', *segments))
    assert region.known(number).traits.birth_date == ""
