"""Settings of the national record: where it is, who asks, with which keys, in which form."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from hub.connector.contract import ConnectorConfig
from hub.wire.xades import XADES_1_1_1


class DmpConfig(ConnectorConfig):
    """The DMP as an organisation's software reaches it."""

    url: str = Field(pattern=r"^https://[^\s]+$")
    """Root of its services, e.g. https://lps.dev9.dmp.gouv.fr/si-dmp-server/v2/services."""
    tls_ca: Path | None = None
    """Certificates that sign the server's; unset: the system's."""
    tls_certificate: Path
    """PEM file of the organisation's certificate for connections (ORG AUTH_CLI)."""
    tls_key: Path
    """PEM file of its key."""
    seal_certificate: Path
    """PEM file of the organisation's certificate for signatures (cachet, ORG SIGN), not the connection's."""
    seal_key: Path
    """PEM file of its key."""
    structure: str = Field(min_length=9, max_length=20)
    """Struct_IdNat of the organisation, as in OU of its certificates: 1 and FINESS, 3 and SIRET ..."""
    structure_name: str = Field(min_length=1, max_length=100)
    """Its name."""
    sector: str = "SA01"
    """Secteur_Activite (TRE_R02)."""
    responsible: str = Field(min_length=3)
    """idNat_PS of the professional who answers for what the hub sends by itself (NameID)."""
    responsible_family: str = Field(min_length=1)
    """Their family name."""
    responsible_given: str = ""
    """Their given name."""
    profession: str = "10"
    """Their profession (TRE_G15), or a code of another table of roles."""
    profession_system: str = "1.2.250.1.71.1.2.7"
    """OID of that table."""
    profession_name: str = "Médecin"
    """Its name."""
    specialities: tuple[str, ...] = ("SM44",)
    """Their specialities (TRE_R01): doctors need one, pharmacists a section."""
    software_id: str = ""
    """LPS_ID: the installation."""
    software_name: str = "Maillage"
    """LPS_Nom."""
    software_version: str = "0.1.0"
    """LPS_Version."""
    homologation: str = Field(min_length=1)
    """LPS_ID_HOMOLOGATION_DMP: the number that the CNDA gives. Without one there is no right to connect."""
    vihf_version: str = "3.0"
    """VIHF_Version: 3.0 in the samples, 4.0 in the guides of 2026."""
    vihf_mode_attribute: Literal["Authentification_mode", "Authentification_Mode"] = "Authentification_mode"
    """How the attribute is written: samples and guides differ."""
    vihf_minutes: int = Field(default=0, ge=0, le=60)
    """Validity that the assertion states; 0: none is stated."""
    resource: str = "urn:dmp"
    """Ressource_URN."""
    algorithm: Literal["rsa-sha256", "rsa-sha512", "rsa-sha1"] = "rsa-sha256"
    """Of both signatures. SHA-1 stands in the samples of 2019 to 2023: only where the service demands it."""
    xades_namespace: str = XADES_1_1_1
    """Version of XAdES."""
    repository_unique_id: str = "1.2.250.1.213.4.1.1.1.2"
    """OID of its repository."""
    device: str = "1.2.250.1.213.4.1.1.1"
    """OID of the DMP as a receiver of HL7 v3."""
    sender: str = "1.2.250.1.999.1.4"
    """OID of the hub as a sender of HL7 v3."""
    authorisation_action: str = "urn:si-dmp-habilitations:setAuthorization"
    """WS-Addressing action of TD0.3."""
    ins_authorities: tuple[str, ...] = (
        "1.2.250.1.213.1.4.8",
        "1.2.250.1.213.1.4.9",
        "1.2.250.1.213.1.4.10",
        "1.2.250.1.213.1.4.11",
    )
    """OIDs of the INS that the environment takes: 8 and 9 in production, 10 on test platforms."""
    max_document_mb: int = Field(default=64, ge=1, le=512)
    """Largest document that is fetched: it is held in memory."""
