"""Where ``maillage xds`` goes and what it shows there: addresses, certificate, token; and calls to read."""

import json
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hub.errors import HubError, Invalid, Misconfigured
from hub.wire.ebxml.errors import RegistryProblem
from hub.wire.ebxml.names import ERROR
from hub.wire.soap.client import SoapClient, SoapFault, spool_to
from hub.wire.soap.message import Outgoing, SoapMessage
from hub.wire.xml import Element


class SandboxFile(Invalid):
    """The file of ``--sandbox`` is not the line that ``maillage sandbox`` printed."""

    code = "sandbox-file"
    title = "The sandbox file is not the JSON that `maillage sandbox` prints."


class AddressMissing(Misconfigured):
    """Neither an option nor the sandbox file says where the service is."""

    code = "address-missing"
    title = "The address is missing."


class Refused(HubError):
    """A registry, repository or imaging document source refused; ``problems`` are its own words."""

    code = "xds-refused"
    title = "The request was refused."

    problems: tuple[RegistryProblem, ...] = ()

    @classmethod
    def of(cls, problems: Iterable[RegistryProblem]) -> "Refused":
        """With the rows of the answer's error list."""
        error = cls()
        error.problems = tuple(problems)
        return error


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The services of one community. "" is nowhere; ``token``, certificate and key are shown where given."""

    registry: str = ""
    repository: str = ""
    imaging: str = ""
    audit: str = ""  #: FHIR base of the audit record repository
    repository_id: str = ""
    domain: str = ""  #: OID of the affinity domain: completes a patient's bare number
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    token: str = ""
    timeout: float = 60.0

    def address(self, name: str) -> str:
        """The URL of ``registry``, ``repository`` or ``imaging``. Raises AddressMissing."""
        url: str = getattr(self, name)
        if not url:
            raise AddressMissing(f"The {name}'s address is missing: give --{name} URL or --sandbox FILE.")
        return url


def target(sandbox: Path | None, **given: Any) -> Target:
    """The sandbox file's values, and over them what was given. Raises SandboxFile."""
    values: dict[str, Any] = {}
    if sandbox is not None:
        values = _from_sandbox(sandbox)
        if given.get("cert") is not None:  # an identity of one's own goes before the sandbox's
            values |= {"token": "", "cert": None, "key": None}
    return Target(**values | {name: value for name, value in given.items() if value})


def _from_sandbox(file: Path) -> dict[str, Any]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        if not lines:
            raise SandboxFile(
                "The sandbox file is still empty: its line comes when the sandbox is ready.", location=str(file)
            )
        found = json.loads(lines[0])
        return {
            "registry": found["xds_registry"],
            "repository": found["xds_repository"],
            "imaging": found["xds_imaging"],
            "audit": found["fhir"],
            "repository_id": found["repository_unique_id"],
            "domain": found["affinity_domain"],
            "ca": Path(found["ca"]),
            "token": found["token"],
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SandboxFile(location=str(file)) from error


@contextmanager
def caller(where: Target) -> Iterator["Caller"]:
    """A SOAP client for the target; what it received goes away at the end. Raises Misconfigured."""
    context = tls_of(where)
    headers = {"Authorization": f"Bearer {where.token}"} if where.token else {}
    with (
        tempfile.TemporaryDirectory(prefix="maillage-xds-") as directory,
        SoapClient(
            httpx.Client(verify=context, headers=headers, timeout=where.timeout, trust_env=False),
            spool_to(Path(directory)),
        ) as client,
    ):
        yield Caller(client)


def tls_of(where: Target) -> ssl.SSLContext:
    """Whom is trusted, and what is shown. Raises Misconfigured."""
    try:
        context = ssl.create_default_context(cafile=str(where.ca) if where.ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if where.cert is not None:
            context.load_cert_chain(where.cert, where.key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured("The certificate, the key or the authority's certificate can't be read.") from error
    return context


class Caller:
    """Calls; a fault is told with its reason."""

    def __init__(self, client: SoapClient) -> None:
        self.client = client

    def call(
        self, url: str, action: str, body: Element, attachments: Iterable[Outgoing] = (), *, mtom: bool = False
    ) -> SoapMessage:
        """The answer's message. Raises SoapFault, Unavailable, DeadlineExceeded, Malformed."""
        try:
            return self.client.call(url, action, body, attachments, mtom=mtom)
        except SoapFault as fault:
            fault.message = f"{fault.message} {fault.reason}".strip()
            raise


def check(status: str, problems: Iterable[RegistryProblem]) -> None:
    """Nothing for a success. Raises Refused."""
    rows = tuple(problems)
    if not status.endswith(":Success") and (status.endswith(":Failure") or any(row.severity == ERROR for row in rows)):
        raise Refused.of(rows)
