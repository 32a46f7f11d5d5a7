"""The national record (DMP): off unless an endpoint is given."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hub.app.settings.table import OidText, Table


class NationalRecord(Table):
    """The national record (DMP): off unless an endpoint is given."""

    name: str = "DMP"
    """How the hub calls it, in every answer and log."""
    kind: str = "dmp"
    """The connector's kind."""
    config: dict[str, Any] = Field(
        default_factory=dict, examples=[{"url": "https://lps.dev9.dmp.gouv.fr/si-dmp-server/v2/services"}]
    )
    """The connector's own settings, see the reference page of the connectors; empty: the hub has no national record."""
    deadline: float = Field(default=30.0, gt=0, le=300)
    """Seconds that a request to it may take."""
    publish: bool = True
    """Whether final reports and their manifests are sent there."""
    read_with: tuple[Literal["provider", "card", "assertion"], ...] = ("provider",)
    """Proofs of identity with which professionals read in the record. The hub asks in the reinforced indirect mode,
    which is Pro Santé Connect's (provider): a card opens the direct mode only where the card itself signs."""
    first_years: float = Field(default=2.0, gt=0, le=100)
    """The first search goes back so many years; everything on request."""
    web: str = Field(default="", pattern=r"^(https://[^\s/?#]+/?)?$", examples=["https://www.dmp.fr"])
    """Root of the record's own pages for professionals, opened in their browser (TD0.9); empty: not offered."""
    modality_schemes: tuple[str, ...] = ("DCM", "1.2.840.10008.2.16.4", "1.2.250.1.213.1.1.5.618")
    """Schemes under which the record's entries tell modalities: the code system, or the value set in its place."""
    region_schemes: tuple[str, ...] = ("2.16.840.1.113883.6.96", "1.2.250.1.213.1.1.5.695", "1.2.250.1.213.2.5")
    """The same of anatomic regions."""
    needs_report: bool = True
    """A manifest is sent once the record holds a final report of its study, never before (DRIM-M)."""
    manifests: tuple[str, ...] = ("IMG-KOS",)
    """typeCodes of the region's documents that are manifests."""
    reports: tuple[str, ...] = ("18748-4",)
    """typeCodes of the region's documents that are reports."""
    structure: str = Field(default="", examples=["1750100125"])
    """Struct_IdNat of the organisation that sends, as in its certificates."""
    structure_name: str = Field(default="", examples=["CENTRE HOSPITALIER A"])
    """Its name."""
    system: str = "1"
    """The hub's number within the structure: the author of manifests is structure/system."""
    system_type: str = Field(default="EI", pattern="^(EI|RI)$")
    """XCN.13 of that author: EI in the DRIMbox samples, RI in the guides."""
    authenticator: str = Field(
        default="", examples=["801234567897^MARTIN^Claire^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"]
    )
    """XCN of who answers for manifests whose report names no legalAuthenticator."""
    content_type: str = "07^1.2.250.1.213.2.2^Consultation"
    """contentTypeCode of submissions: code^scheme^name."""
    source_id: OidText | None = Field(default=None, examples=["1.2.250.1.999.1.4"])
    """sourceId of submissions; default: region.source_id."""
    look_again_hours: float = Field(default=24.0, gt=0)
    """After so many hours what may change by itself (no record, a closed one, an opposition) is looked at again."""
    looks: int = Field(default=30, ge=0)
    """At most so often; what stands in the record and should not is looked at without end."""

    @property
    def enabled(self) -> bool:
        """Whether there is a national record at all."""
        return bool(self.config)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.enabled and not (self.structure and self.structure_name):
            raise ValueError("a national record needs structure and structure_name")
        if self.content_type.count("^") != 2:
            raise ValueError("content_type must be code^scheme^name")
        return self
