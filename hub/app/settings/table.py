"""What every table of the settings is made of."""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hub.values import AETitle, Oid, setting


def database_url(text: str) -> str:
    """Raises ValueError; the message never holds the URL: a password may be in it."""
    if not text.startswith(("sqlite://", "postgresql://", "postgresql+psycopg://")):
        raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
    return text


def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Raises ValueError where there is none."""
    if not values:
        raise ValueError("must name at least one")
    return values


def place(text: str) -> str:
    """Raises ValueError where it is not host:port."""
    host, _, port = text.rpartition(":")
    if not (host.strip() and port.isascii() and port.isdecimal() and 0 < int(port) <= 65535):
        raise ValueError("must be host:port")
    return text


def host(text: str) -> str:
    """Raises ValueError where it is no host's name or address."""
    try:
        ip_address(text)
    except ValueError as error:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", text):
            raise ValueError("must be a host's name or address, without a port") from error
    return text


OidText = Annotated[str, AfterValidator(setting(Oid))]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")]
DatabaseUrl = Annotated[str, AfterValidator(database_url)]
AETitleText = Annotated[str, AfterValidator(setting(AETitle))]
Host = Annotated[str, AfterValidator(host)]
Place = Annotated[str, AfterValidator(place)]
PlaceOrNone = Annotated[str, AfterValidator(lambda text: text and place(text))]
ProcessingIds = Annotated[tuple[Literal["P", "T", "D"], ...], AfterValidator(some)]
CodeText = Annotated[str, Field(pattern=r"^[^^|]+\^[^^|]*\^[^^|]+$")]
DocumentCode = Literal[
    "classCode",
    "typeCode",
    "formatCode",
    "healthcareFacilityTypeCode",
    "practiceSettingCode",
    "confidentialityCode",
    "contentTypeCode",
]


class Table(BaseModel):
    """Base of every settings table: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)
