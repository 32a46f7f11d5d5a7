"""Questions about several patients at once, or about whomever it is (MPQ: ITI-51)."""

from hub.access.rights_model import Rights
from hub.context import Context
from hub.documents.codec import patient_key
from hub.documents.criteria import Clause, Operator
from hub.documents.errors import UnknownCommunity
from hub.documents.model import Association, MultiPatientQuery, QueryResult
from hub.documents.queries import MULTI_PATIENT, read
from hub.documents.registration import Patients
from hub.documents.rules import printable
from hub.documents.search import Search
from hub.documents.showing import ReadersStore
from hub.documents.survivors import Survivors
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import Oid, PatientIdentifier


class MultiPatientService:
    """The multi-patient queries. ``max_results``: most objects in one answer, beyond it XDSTooManyResults."""

    def __init__(
        self,
        *,
        database: Database,
        patients: Patients,
        home_community_id: str = "",
        max_results: int = 10_000,
        rights: Rights,
    ) -> None:
        self.database = database
        self.patients = patients
        self.home = Oid.from_urn(home_community_id).urn if home_community_id else ""
        self.max_results = max_results
        self.rights = rights

    @use_case
    def query(self, command: MultiPatientQuery, context: Context) -> QueryResult:
        """Answer a multi-patient query (ITI TF-2: 3.51). Patients whom nobody knows have no documents.

        Raises what ITI-18 raises, but not ResultNotSinglePatient; TooManyResults also for a code that is so common
        that finding its objects would mean to read the whole registry."""
        query = command.query
        if query.home and query.home != self.home:
            raise UnknownCommunity(location=printable(query.home))
        question = read(query.query_id, query.parameters, query.lists, queries=MULTI_PATIENT)
        context.touch("query", question.query.name)
        survivors = Survivors(self.patients)
        keys: list[str] = []
        about: list[PatientIdentifier] = []
        for patient in question.patients:
            same = self.patients.equivalents(patient)
            survivors.know(same)
            keys += [patient_key(item) for item in same or (patient,)]
            about.append(same[0] if same else patient)
        patients = Clause("patient", Operator.IN, tuple(dict.fromkeys(keys))) if keys else None
        with self.database.reading() as work:
            store = ReadersStore(work, self.rights, context, survivors=survivors, home=self.home, about=about)
            objects = Search(store, question, patients, self.max_results).run()
        concerned = {item.patient_id for item in objects if not isinstance(item, Association)}
        for patient in sorted(concerned, key=patient_key):
            context.touch("patient", patient.cx)
        return QueryResult(objects)
