"""What becomes of a retrieval in the audit trail when not every instance came."""

from hub.context import Context
from hub.errors import HubError
from hub.imaging.errors import SomeNotRetrieved
from hub.imaging.model import FailedInstance, InstanceStream


def failing(stream: InstanceStream, context: Context) -> InstanceStream:
    """The same stream; at its end the context is told of what it could not give."""
    came = failed = 0
    first: HubError | None = None
    for item in stream:
        if isinstance(item, FailedInstance):
            failed += 1
            first = first or item.error
        else:
            came += 1
        context.failed = SomeNotRetrieved.told_of(failed, came) if failed and came else first
        yield item
