"""Nothing tells that there is something to hide: an opposed person's record is answered as what is not there, in every
protocol, from the very next request on; with as many statements to the database."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from hub.access.model import Principal
from hub.access.rights_model import WITHHELD, Choice, Consent, Matter, RecordConsent, Thing
from hub.context import Context
from hub.documents.model import DocumentRequest, RetrieveDocuments, StoredQuery
from hub.imaging.errors import UnknownStudy
from hub.imaging.model import InstanceRequest, RetrieveInstances, StudyState
from hub.imaging.publication import OPPOSED
from hub.values import PatientIdentifier, now
from tests.access.rights_world import DOCTOR, SYSTEM
from tests.hostile import leaking_region
from tests.hostile.leaking import ABOUT_PERSONS, PROBES, plain
from tests.hostile.leaking_people import NEVER, populated
from tests.hostile.leaking_region import Region, Target, bring_in
from tests.interop.by_hand import APPROVED, FIND_DOCUMENTS, FIND_SETS, GET_ASSOCIATIONS, GET_DOCUMENTS
from tests.waiting import until

_Parameters = dict[str, tuple[tuple[str, ...], ...]]


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with populated(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.fixture
def opposed(region: Region) -> Iterator[Region]:
    region.opposes("hidden")
    yield region
    region.relents("hidden")


def nothing(region: Region, name: str) -> Target:
    """For comparison: somebody who is known and has nothing; else UIDs that nobody has."""
    return region.people["empty"] if name in ABOUT_PERSONS else region.people["hidden"].guessed()


@pytest.mark.parametrize("name", PROBES)
def test_what_is_hidden_is_answered_as_what_is_not_there(opposed: Region, name: str) -> None:
    ask, hidden, other = PROBES[name], opposed.people["hidden"], nothing(opposed, name)
    assert plain(ask(opposed, hidden), hidden) == plain(ask(opposed, other), other)
    neighbour = opposed.people["shown"]
    if name not in NEVER:
        assert plain(ask(opposed, neighbour), neighbour) != plain(ask(opposed, other), other)


@pytest.mark.parametrize("name", PROBES)
def test_an_opposition_counts_at_the_next_request_and_so_does_its_end(region: Region, name: str) -> None:
    ask, hidden = PROBES[name], region.people["hidden"]
    before = plain(ask(region, hidden), hidden)
    region.opposes("hidden")
    try:
        while_opposed = plain(ask(region, hidden), hidden)
    finally:
        region.relents("hidden")
    assert plain(ask(region, hidden), hidden) == before
    assert (while_opposed != before) is (name not in NEVER)


@pytest.mark.parametrize("name", PROBES)
def test_as_many_statements_whether_it_is_hidden_or_not_there(
    opposed: Region, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, hidden, other = PROBES[name], opposed.people["hidden"], nothing(opposed, name)
    counts = []
    for target in (hidden, other):
        ask(opposed, target)  # what is remembered is remembered now
        with opposed.counted(monkeypatch) as statements:
            ask(opposed, target)
        counts.append([statement[:160] for statement in statements])
    assert len(counts[0]) == len(counts[1]), "\n".join(["", *counts[0], "-", *counts[1]])


def test_who_opposes_feeding_is_held_back_until_it_is_lifted(region: Region) -> None:
    region.people["feeding"] = Target(
        number="PX9", name="VERDIER", regional="", study="", series="", instance="", document="", entry="", owner=""
    )
    region.says("feeding", "IC", feeding="IO")
    ds = leaking_region.image("PX9", "VERDIER")
    leaking_region.store(region, ds)
    uid = str(ds.StudyInstanceUID)
    until(lambda: _state(region, uid) is StudyState.HELD)
    assert region.hub.imaging.indexed(uid).held_because == OPPOSED
    region.says("feeding", "IC", feeding="INO")
    until(lambda: _state(region, uid) is StudyState.PUBLISHED)


def test_an_opposition_that_ends_by_itself_holds_no_longer(region: Region) -> None:
    region.adt("PX8", "LAMOTTE")
    patient = PatientIdentifier("PX8", leaking_region.OID)
    end = now() + timedelta(seconds=6)
    word = Consent("", patient, Matter.FEEDING, Choice.OPPOSITION, now() - timedelta(days=1), until=end)
    region.hub.consents.record(RecordConsent(word), Context(principal=SYSTEM))
    ds = leaking_region.image("PX8", "LAMOTTE")
    leaking_region.store(region, ds)
    uid = str(ds.StudyInstanceUID)
    until(lambda: _state(region, uid) in (StudyState.HELD, StudyState.PUBLISHED))

    def swept() -> bool:
        for sweep in region.hub.sweeps:
            sweep()
        return _state(region, uid) is StudyState.PUBLISHED

    until(swept)


def _state(region: Region, uid: str) -> StudyState | None:
    try:
        return region.hub.imaging.indexed(uid).state
    except UnknownStudy:
        return None


def test_what_is_masked_is_not_there_for_a_professional_but_for_its_author(region: Region) -> None:
    bring_in(region, "masked", "PX7", "DELMASSE", codes={"confidentialityCode": "MASQUE_PS"})
    target, hub = region.people["masked"], region.hub

    def entries(query_id: str, parameters: _Parameters, principal: Principal) -> int:
        found = hub.documents.query(StoredQuery(query_id, parameters), Context(principal=principal))
        return len(found.objects)

    about: _Parameters = {
        "$XDSDocumentEntryPatientId": ((target.regional,),),
        "$XDSDocumentEntryStatus": ((APPROVED,),),
    }
    sets: _Parameters = {"$XDSSubmissionSetPatientId": ((target.regional,),), "$XDSSubmissionSetStatus": ((APPROVED,),)}
    asked: list[tuple[str, _Parameters]] = [
        (FIND_DOCUMENTS, about),
        (FIND_SETS, sets),
        (GET_ASSOCIATIONS, {"$uuid": ((target.owner,),)}),
        (leaking_region.GET_SETS, {"$uuid": ((target.entry,),)}),
    ]
    for query_id, parameters in asked:
        assert entries(query_id, parameters, DOCTOR) == 0, query_id
        assert entries(query_id, parameters, SYSTEM) > 0, query_id
    wanted = RetrieveDocuments((DocumentRequest(hub.documents.repository_unique_id, target.document),))
    hidden = hub.documents.retrieve(wanted, Context(principal=DOCTOR))
    unknown = DocumentRequest(hub.documents.repository_unique_id, target.guessed().document)
    missing = hub.documents.retrieve(RetrieveDocuments((unknown,)), Context(principal=DOCTOR))
    assert not hidden.documents
    assert [type(error) for _, error in hidden.failures] == [type(error) for _, error in missing.failures]
    assert hub.documents.retrieve(wanted, Context(principal=SYSTEM)).documents


def test_the_record_says_that_something_was_withheld_and_not_what(opposed: Region) -> None:
    hidden, context = opposed.people["hidden"], Context(principal=SYSTEM)
    parameters = {"$XDSDocumentEntryUniqueId": ((hidden.document,),)}
    assert not opposed.hub.documents.query(StoredQuery(GET_DOCUMENTS, parameters), context).objects
    assert [item.reference for item in context.touched if item.kind == WITHHELD] == ["document"]
    assert hidden.document not in str(context.touched)


def test_one_decision_a_study_however_many_instances_are_wanted(
    opposed: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, visible = [], opposed.hub.rights.visible

    def counted(things: Sequence[Thing], context: Context) -> Sequence[bool]:
        asked.append(things)
        return visible(things, context)

    monkeypatch.setattr(opposed.hub.rights, "visible", counted)
    shown = opposed.people["shown"]
    requests = tuple(InstanceRequest(shown.study, shown.series, f"{shown.instance}.{n}") for n in range(600))
    stream = opposed.hub.imaging.retrieve(RetrieveInstances(requests), Context(principal=SYSTEM))
    assert len(list(stream)) == 600
    assert len(asked) == 1
