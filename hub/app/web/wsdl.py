"""``GET <endpoint>?wsdl``: the description of a SOAP endpoint, made from the transactions that it answers.

``GET <endpoint>`` gives the same: messages are posted there, and there is nothing else to be got."""

from collections.abc import Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hub.pipeline.catalogue import Bound
from hub.pipeline.transaction import Soap
from hub.wire.soap.wsdl import MEDIA_TYPE, Operation, write_wsdl


def description(path: str, transactions: Iterable[tuple[Soap, Bound]], public_url: Callable[[], str]) -> Any:
    """The endpoint of one path. Who describes it asks nothing of anybody: no authentication."""
    operations = [
        Operation(
            bound.transaction.responder,
            binding.action,
            binding.response_action,
            binding.body,
            binding.mtom,
            f"{bound.transaction.title} ({bound.transaction.section})",
        )
        for binding, bound in transactions
    ]

    async def endpoint(_request: Request) -> Response:
        document = write_wsdl(path.strip("/"), public_url() + path, operations)
        return Response(document, media_type=MEDIA_TYPE)

    return endpoint
