"""The trail for others: searched by who may, and fed by systems that keep none of their own (ITI-81, ITI-20)."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hub.audit.model import GetLags, KeepEvents, Lag, Own, SearchTrail, Trail
from hub.audit.service import AuditService
from hub.context import Context
from hub.usecase import use_case
from hub.values import PatientIdentifier

#: Every number (CX) of the person whom a number means; only that one where nobody is known by it.
Numbers = Callable[[PatientIdentifier], Sequence[str]]


class TrailService:
    """``own``: who the hub is as a source of events; ``lags``: how far its collectors are behind."""

    def __init__(
        self, audit: AuditService, numbers: Numbers, own: Callable[[], Own], lags: Callable[[], Sequence[Lag]]
    ) -> None:
        self.audit = audit
        self.numbers = numbers
        self.own = own
        self.lags = lags

    @use_case
    def search(self, command: SearchTrail, context: Context) -> Trail:
        """One page of records, newest first. That somebody looked is a record itself."""
        wanted = command.search
        if command.person is not None:
            numbers = tuple(self.numbers(command.person))
            wanted = replace(wanted, patients=numbers)
            context.touch("patient", numbers[0])
        own = self.own()
        wanted = replace(wanted, sources=tuple("" if item == own.source_id else item for item in wanted.sources))
        if wanted.sites and own.site not in wanted.sites:
            return Trail((), 0, own=own)
        if wanted.sites:
            wanted = replace(wanted, sources=wanted.sources or ("",))
        total = self.audit.count(wanted)
        if command.count_only:
            return Trail((), total, own=own)
        page = self.audit.search(wanted)
        return Trail(page.records, total, page.cursor, own)

    @use_case
    def keep(self, command: KeepEvents, context: Context) -> KeepEvents:
        """Into the same chain, all or none."""
        self.audit.keep(command.records)
        for record in command.records:
            context.touch("audit event", record.id)
        return command

    @use_case
    def behind(self, command: GetLags, context: Context) -> Sequence[Lag]:  # noqa: ARG002 (a use case's signature)
        """What an operator watches."""
        return self.lags()
