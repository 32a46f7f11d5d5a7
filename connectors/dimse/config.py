"""Settings of a DIMSE source: where it is, and the ways in which it differs from the standard."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hub.connector.contract import ConnectorConfig
from hub.values import AETitle, setting

AETitleText = Annotated[str, AfterValidator(setting(AETitle))]


class DimseConfig(ConnectorConfig):
    """A PACS reached by C-FIND and C-GET or C-MOVE."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    ae_title: AETitleText
    """Called AE title."""
    calling_ae_title: str = ""
    """The hub's AE title towards this source; default: dimse.ae_title of the hub."""
    root: Literal["study", "patient"] = "study"
    """Information model. Patient root needs a patient id in every search."""
    retrieve: Literal["get", "move"] = "get"
    """C-MOVE delivers to the hub's own port: the PACS must know its AE title and address."""
    delivers_from: tuple[str, ...] = ()
    """Further addresses or networks (10.1.0.0/16) from which it sends what a C-MOVE asked for; its host always may."""
    max_results: Annotated[int, Field(ge=0)] = 0
    """The PACS cuts answers silently at this number: they are asked for again by halves of the dates. 0: not known, and
    so an answer of exactly 100, 200 and so on is taken for one that is cut."""
    modalities_in_study: Literal["match", "loop", "filter"] = "match"
    """The PACS matches several modalities; only one at a time (loop); none (filter: the hub does)."""
    omit_keys: tuple[str, ...] = ()
    """Return keys that the PACS refuses, by keyword."""
    charset: str = ""
    """Character set of answers whatever they declare, e.g. ISO_IR 100."""
    request_charset: str = "ISO_IR 192"
    """Character set of searches with letters outside ASCII."""
    finds_per_association: Annotated[int, Field(ge=0)] = 0
    """C-FINDs on one association; 0: any number."""
    uncompressed_only: bool = False
    """Never propose compressed transfer syntaxes."""
    min_interval_ms: Annotated[int, Field(ge=0)] = 0
    """Least time between two associations."""
    move_grace: float = 5.0
    """Seconds to wait for objects after the PACS has said that a C-MOVE is complete."""
    tls_ca: Path | None = None
    """TLS: certificates that sign the PACS's; unset: no TLS."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
