"""What is said of a community that does not answer, or that answers with an error."""

import re
from collections.abc import Mapping, Sequence

from hub.documents.errors import MissingHomeCommunityId, UnavailableCommunity
from hub.errors import DeadlineExceeded, HubError
from hub.federation.errors import CommunityError
from hub.federation.model import Community
from hub.imaging.model import FailedInstance, InstanceRequest, InstanceStream, SourceState, SourceStatus


def unavailable(community: Community, error: HubError) -> UnavailableCommunity:
    """That it gave no answer."""
    # The error's title, not its message: what a peer sent may have found its way into that.
    return UnavailableCommunity(
        f"The community {community.name} did not answer. {error.title}", location=community.home
    )


def unanswered(name: str, error: HubError, milliseconds: int = 0) -> SourceStatus:
    """Its part in the answer."""
    state = SourceState.LATE if isinstance(error, DeadlineExceeded) else SourceState.FAILED
    return SourceStatus(name, state, 0, milliseconds, error.title)


def located(error: HubError, community: Community) -> HubError:
    """What it said, with whom it is of."""
    if isinstance(error, CommunityError):
        return CommunityError.said(
            error.error_code, error.text, location=error.location or community.home, warning=error.warning
        )
    return error


def without_home(community: Community) -> MissingHomeCommunityId:
    """That what it gave does not say where it is from."""
    return MissingHomeCommunityId(
        f"The gateway of {community.name} gave a document without HomeCommunityId.", location=community.home
    )


def said_of(uid: str, problems: Sequence[HubError]) -> HubError | None:
    """What the community said about one document: the row that names it, else the first one."""
    errors = [error for error in problems if not getattr(error, "warning", False)]
    return next((error for error in errors if _names(error, uid)), next(iter(errors), None))


def warned_of(uid: str, problems: Sequence[HubError]) -> list[HubError]:
    """What the community warns of an instance that it gave."""
    return [error for error in problems if getattr(error, "warning", False) and _names(error, uid)]


def undisguised(stream: InstanceStream, originals: Mapping[InstanceRequest, InstanceRequest]) -> InstanceStream:
    """The answers about what was asked (``hub.imaging.readers.Disguise``), in the community's own words."""
    for item in stream:
        asked = originals.get(item.request) if isinstance(item, FailedInstance) else None
        if asked is None or not isinstance(item, FailedInstance):
            yield item
            continue
        error = item.error
        if isinstance(error, CommunityError):
            text = error.text
            for name in ("study_instance_uid", "series_instance_uid", "sop_instance_uid"):
                made_up = getattr(item.request, name)
                text = text.replace(made_up, getattr(asked, name)) if made_up else text
            error = CommunityError.said(error.error_code, text, location=error.location, warning=error.warning)
        yield FailedInstance(asked, error)


def _names(error: HubError, uid: str) -> bool:
    text = error.text if isinstance(error, CommunityError) else error.message
    return error.location == uid or re.search(rf"(?<![0-9.]){re.escape(uid)}(?![0-9.]*[0-9])", text) is not None
