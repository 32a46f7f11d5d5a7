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

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.white_list is not None and not (self.authorities and self.crls and self.operators):
            raise ValueError("white_list needs authorities, crls and operators")
        return self

    @property
    def enabled(self) -> bool:
        """Whether any other DRIMbox can be trusted."""
        return self.white_list is not None
