"""The audit trail, wired: who the hub is in it, what may be asked of it, where it is sent."""

import ssl
from collections.abc import Callable, Sequence

from hub.app.audit.forwarding import AuditForwarder
from hub.app.audit.sinks import host_name, process_id
from hub.app.settings.model import Settings
from hub.audit.model import Own
from hub.audit.service import AuditService
from hub.audit.trail import TrailService
from hub.patients.model import Person
from hub.pipeline.catalogue import Catalogue
from hub.storage.engine import Database
from hub.values import PatientIdentifier

Persons = Callable[[PatientIdentifier], Person | None]


class AuditTrail:
    """``service``: use cases; ``forwarder``: the senders; ``own``: who the hub is, as of now."""

    def __init__(  # noqa: PLR0917 (the hub's parts, in the order in which they are made)
        self,
        settings: Settings,
        database: Database,
        audit: AuditService,
        catalogue: Catalogue,
        person: Persons,
        public_url: Callable[[], str],
        context: Callable[[], ssl.SSLContext],
    ) -> None:
        atna = settings.atna
        titles = {bound.id: bound.transaction.title for bound in catalogue}

        def own() -> Own:
            return Own(atna.source_id, atna.site, public_url(), host_name(), process_id(), titles)

        self.own = own
        self._person = person
        self._domain = settings.region.affinity_domain
        self.forwarder = AuditForwarder(atna, database, own, context)
        self.service = TrailService(audit, self.numbers, own, self.forwarder.lags)

    def numbers(self, number: PatientIdentifier) -> Sequence[str]:
        """Every number (CX) of a person; without an authority it is a regional one."""
        asked = number if number.authority else PatientIdentifier(number.value, self._domain)
        person = self._person(asked)
        if person is None:  # nobody is known by it, or no longer: what was recorded with it is found all the same
            return (asked.cx,)
        return tuple(dict.fromkeys(item.cx for item in (*person.identifiers, asked)))
