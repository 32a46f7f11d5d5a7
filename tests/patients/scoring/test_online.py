"""The score at work: in the linker, and over the whole index."""

from hub.app.patients.matching import weigh
from hub.app.settings.model import Matching
from hub.context import Context
from hub.patients.model import FeedIdentity, Identity, TaskKind
from hub.patients.relinking import Relinking
from hub.patients.service import PatientService
from hub.patients.steward_model import FindTasks
from hub.patients.stewardship import Stewardship
from tests.patients.scoring.people import A, B, someone

C = "1.2.250.1.999.10.3"


def feed(patients: PatientService, *identities: Identity) -> list[str]:
    return [patients.feed(FeedIdentity(item), Context(source="HIS_C")).regional.value for item in identities]


def open_tasks(patients: PatientService) -> dict[TaskKind, int]:
    page = Stewardship(patients=patients).tasks(FindTasks(), Context())
    return {kind: number for kind, number in page.open if number}


def test_off_unless_it_is_switched_on(patients: PatientService) -> None:
    assert weigh(Matching()) is None
    one, other = feed(patients, someone(A), someone(B, birth_name="Le Gof"))
    assert one != other


def test_a_misspelt_name_joins_and_a_twin_does_not(patients: PatientService) -> None:
    patients.weigh = weigh(Matching(enabled=True))
    one, misspelt, twin = feed(
        patients, someone(A), someone(B, birth_name="Le Gof"), someone(C, birth_given="Claire", given_names="Claire")
    )
    assert one == misspelt != twin
    assert open_tasks(patients) == {}  # twins are no question


def test_what_the_score_may_not_decide_is_asked(patients: PatientService) -> None:
    patients.weigh = weigh(Matching(enabled=True))
    one, other = feed(patients, someone(A), someone(B, sex="M"))
    assert one != other
    assert open_tasks(patients) == {TaskKind.POSSIBLE: 1}


def test_switched_on_later_the_index_is_looked_at_again(patients: PatientService) -> None:
    people = (someone(A), someone(B, birth_name="Le Gof"), someone(C, birth_given="Claire", given_names="Claire"))
    assert len(set(feed(patients, *people))) == 3
    patients.weigh = weigh(Matching(enabled=True))
    index = Relinking(patients)
    assert index.count() == 3
    pages = list(index.identities())
    ids = [member.id for page in pages for member in page]
    for page in pages:
        index.remember([member.id for member in page])
    assert index.look_again(ids[1:2], Context()) == 1
    assert index.look_again(ids, Context()) == 0  # once is enough
    [members] = index.identities()
    assert members[0].person == members[1].person != members[2].person
    assert index.linked_by_score() == {(ids[0], ids[1])}
