"""Other communities as MHD's view of the documents asks them: the initiating gateway behind it (MHD: 1:33.6.2)."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hub.context import Context
from hub.documents.errors import DocumentUniqueIdError, UnknownCommunity
from hub.documents.model import DocumentRequest, RetrievedDocument, StoredQuery
from hub.documents.ports import ToldElsewhere
from hub.documents.queries import read
from hub.documents.rules import printable
from hub.documents.sharing_model import CommunityStatus
from hub.federation.communities import TARGETS, CommunityService
from hub.federation.errors import CommunityError
from hub.federation.model import CommunityAnswer, QueryCommunities, Reference, RetrieveFromCommunities
from hub.imaging.model import SourceState


class SharedElsewhere:
    """Asks through the initiating gateway. ``unnamed``: also by searches that name no community."""

    def __init__(self, communities: CommunityService, *, unnamed: bool) -> None:
        self.communities = communities
        self.unnamed = unnamed
        self._homes = {_key(home): home for home in communities.others}

    def meant(self, named: Sequence[str]) -> tuple[str, ...]:
        """The others that are to be asked: those that are named and known, or all where none is named."""
        others = self.communities.others
        if not named:
            return tuple(others) if self.unnamed else ()
        return tuple(home for home in dict.fromkeys(named) if home in others)

    def home_of(self, key: str) -> str:
        """The community of a key. Raises UnknownCommunity."""
        if key not in self._homes:
            raise UnknownCommunity()
        return self._homes[key]

    def key_of(self, home: str) -> str:
        """Short, and always the same for the same community."""
        return _key(home)

    def query(self, query: StoredQuery, homes: Sequence[str], context: Context) -> ToldElsewhere:
        """Objects and each community's part. A query about a person goes out at once, others one by one."""
        if not homes:
            return ToldElsewhere((), ())
        if read(query.query_id, query.parameters, query.lists).patient is not None:
            parameters = {**query.parameters, TARGETS: (tuple(homes),)}
            targeted = replace(query, parameters=parameters, lists=(query.lists or frozenset()) | {TARGETS})
            answers = [self.communities.query(QueryCommunities(targeted), context)]
        else:
            answers = [self.communities.query(QueryCommunities(replace(query, home=home)), context) for home in homes]
        objects = [item for answer in answers for item in answer.objects if not isinstance(item, Reference)]
        return ToldElsewhere(tuple(objects), tuple(self._statuses(answers)))

    def retrieve(self, request: DocumentRequest, context: Context) -> RetrievedDocument:
        """The document. Raises UnavailableCommunity, DocumentUniqueIdError."""
        outcome = self.communities.retrieve(RetrieveFromCommunities((request,)), context)
        for _, error in outcome.failures:
            # What a peer says is its own words, for nobody's log: all that is told is that it has none.
            raise DocumentUniqueIdError() if isinstance(error, CommunityError) else error
        if not outcome.documents:
            raise DocumentUniqueIdError()
        return outcome.documents[0]

    def _statuses(self, answers: Iterable[CommunityAnswer]) -> Iterable[CommunityStatus]:
        homes = {community.name: home for home, (community, _) in self.communities.others.items()}
        for answer in answers:
            said = {
                error.location: error.error_code
                for error in answer.problems
                if isinstance(error, CommunityError) and not error.warning
            }
            for status in answer.statuses:
                home = homes[status.source]
                yield CommunityStatus(
                    status.source,
                    home,
                    status.state is SourceState.ANSWERED,
                    status.count,
                    status.state is SourceState.LATE,
                    home in said,
                    status.reason or (f"It reports {printable(said[home])}." if home in said else ""),
                )


def _key(home: str) -> str:
    return hashlib.sha256(home.encode()).hexdigest()[:12]
