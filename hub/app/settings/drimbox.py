"""Other DRIMboxes (DRIM-M): who may ask the hub for images by their manifest, and where the hub may ask."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hub.app.settings.nodes import SubjectPatternTable
from hub.app.settings.table import Table
from hub.wire.drimbox.white_list import NAMESPACE, VERSION


class Drimbox(Table):
    """Other DRIMboxes (DRIM-M): off unless a list of trusted ones is given."""

    white_list: Path | None = Field(default=None, examples=["var/liste-blanche.xml"])
    """The signed list of trusted DRIMboxes (ListeBlancheDRIM-M), verified again when it or a file below changes."""
    authorities: tuple[Path, ...] = Field(default=(), examples=[("pki/ac-liste-blanche.crt",)])
    """PEM files of the authorities of the certificate that signs it: the whole chain, each is looked up in crls."""
    crls: tuple[Path, ...] = Field(default=(), examples=[("pki/ac-liste-blanche.crl",)])
    """Their revocation lists: without a fresh one the list of DRIMboxes is not believed."""
    signer: SubjectPatternTable = Field(
        default={"CN": "Liste Blanche DRIM-M", "OU": "318751275100020"}, examples=[{"CN": "Liste Blanche DRIM-M"}]
    )
    """Whose certificate signs it: patterns for CN, O and OU."""
    algorithms: tuple[Literal["rsa-sha256", "rsa-sha384", "rsa-sha512"], ...] = ("rsa-sha256",)
    """Signatures that are accepted."""
    namespace: str = NAMESPACE
    """The list's XML namespace."""
    version: str = VERSION
    """Its versionFormat."""
    operators: tuple[Path, ...] = Field(default=(), examples=[("pki/ac-igc-sante-operateurs.crt",)])
    """PEM files of the authorities of the certificates with which operators of DRIMboxes connect."""

    certificate: Path | None = Field(default=None, examples=["pki/drimbox-operateur.crt"])
    """PEM file of the operator's certificate with which the hub asks other DRIMboxes; unset: it asks none."""
    key: Path | None = Field(default=None, examples=["pki/drimbox-operateur.key"])
    """PEM file of its private key."""
    source_authorities: tuple[Path, ...] = Field(default=(), examples=[("pki/ac-igc-sante-serveurs.crt",)])
    """PEM files of the authorities of the certificates with which other DRIMboxes serve; default: operators."""
    accept: tuple[str, ...] = (
        "1.2.840.10008.1.2.4.70;q=0.9",
        "1.2.840.10008.1.2.4.80;q=0.8",
        "1.2.840.10008.1.2.4.90;q=0.7",
        "1.2.840.10008.1.2.4.91;q=0.6",
        "1.2.840.10008.1.2.4.50;q=0.5",
        "1.2.840.10008.1.2.4.51;q=0.5",
        "1.2.840.10008.1.2.1;q=0.4",
    )
    """Transfer syntaxes that other DRIMboxes are asked for, each with its preference."""
    timeout: float = Field(default=60.0, gt=0, le=600)
    """Seconds that another DRIMbox may stay silent."""
    max_connections: int = Field(default=4, ge=1, le=64)
    """Requests to one other DRIMbox at a time, of one open study."""
    call_seconds: int = Field(default=600, ge=10, le=3600)
    """How long a contextual call waits for its person to come, and to sign in."""
    informed: tuple[str, ...] = ("true", "1", "oui", "o", "yes", "y")
    """Values of InformationEtOppositionConsultation, in any case, which say that the patient was informed and does not
    oppose the consultation. Every other value is refused."""
    export_to: tuple[str, ...] = Field(default=(), examples=[("PACS_A",)])
    """Names of [[sources]] that studies may be exported to from the portal."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.white_list is not None and not (self.authorities and self.crls and self.operators):
            raise ValueError("white_list needs authorities, crls and operators")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.certificate is not None and self.white_list is None:
            raise ValueError("certificate needs white_list: the hub asks no box that is not on it")
        return self

    @property
    def asks(self) -> bool:
        """Whether the hub asks other DRIMboxes for images (consumer)."""
        return self.certificate is not None

    @property
    def enabled(self) -> bool:
        """Whether any other DRIMbox can be trusted."""
        return self.white_list is not None
