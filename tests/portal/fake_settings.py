"""The settings of the portal's made-up region."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.portal import stewarding
from tests.portal.made_up import REGION, A, B


@dataclass
class Region:
    name: str = "GCS Imagerie Provence"
    affinity_domain: str = REGION


@dataclass
class Source:
    name: str
    kind: str
    title: str
    authority: str = ""


@dataclass
class Authority:
    oid: str
    namespace: str
    name: str


@dataclass
class Web:
    public_url: str = ""
    trusted_proxy: str = ""


@dataclass
class Record:
    read_with: tuple[str, ...] = ()


@dataclass
class Drimbox:
    export_to: tuple[str, ...] = ()


@dataclass
class Settings:
    region: Region = field(default_factory=Region)
    sources: tuple[Source, ...] = (
        Source("PACS_A", "dicomweb", "CH d'Aix"),
        Source("PACS_B", "dimse", "Clinique Saint-Roch"),
        Source("PACS_C", "dimse", "CH de Digne"),
    )
    authorities: tuple[Authority, ...] = (
        Authority(A, "CHA", "CH d'Aix"),
        Authority(B, "CSR", "Clinique Saint-Roch"),
        Authority(stewarding.C, "CHD", "CH de Digne"),
        Authority(REGION, "REGION", "Région"),
    )
    viewer: Path | None = None
    web: Web = field(default_factory=Web)
    record: Record = field(default_factory=Record)
    drimbox: Drimbox = field(default_factory=Drimbox)
