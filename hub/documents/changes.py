"""What happens to what the registry holds, as other rooms hear of it, in its unit of work. Frozen values."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from enum import Enum, auto

from hub.context import Context
from hub.documents.model import DocumentEntry, Folder, SubmissionSet


class Change(Enum):
    """What happened to an object (ITI TF-2: Tables 3.53.4.3.2-1 and -2)."""

    REGISTERED = auto()
    UPDATED = auto()  #: new metadata (ITI-57, ITI-92)
    STATUS = auto()  #: another availabilityStatus: replaced, withdrawn, updated
    FILLED = auto()  #: a folder has a member more, or a member's replacement
    EMPTIED = auto()  #: a folder has a member less
    REMOVED = auto()  #: it has left the registry (ITI-62)


@dataclass(frozen=True, slots=True)
class Changed:
    """One object as it is now, of one that was removed as it was, and what happened to it."""

    what: Change
    item: DocumentEntry | SubmissionSet | Folder


#: Hears of changes, with the surviving identifiers and this community.
Observer = Callable[[tuple[Changed, ...], Context], object]
#: Ids of objects of the registry by what happened to them.
Happened = Mapping[Change, Set[str]]
