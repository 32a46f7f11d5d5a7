"""Settings of a DICOMweb source: where it is, how it authenticates, and what it does its own way."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from hub.connector.contract import ConnectorConfig


class DicomwebConfig(ConnectorConfig):
    """A PACS reached by QIDO-RS and WADO-RS."""

    url: str = Field(pattern=r"^https?://[^\s]+$")
    """Root of the DICOMweb services, e.g. https://pacs.example/dicom-web."""
    qido_url: str = ""
    """Root of QIDO-RS where it differs."""
    wado_url: str = ""
    """Root of WADO-RS where it differs."""
    stow_url: str = ""
    """Root of STOW-RS where it differs from WADO-RS's."""
    user: str = ""
    password: SecretStr = SecretStr("")
    """HTTP basic authentication."""
    bearer: SecretStr = SecretStr("")
    """A fixed bearer token."""
    tls_ca: Path | None = None
    """Certificates that sign the server's; unset: the system's."""
    tls_certificate: Path | None = None
    """The hub's client certificate for this server."""
    tls_key: Path | None = None
    quote_type_parameter: bool = True
    """Send type="application/dicom" quoted."""
    transfer_syntax_star: bool = True
    """The server knows transfer-syntax=*; otherwise nothing is said and it chooses."""
    json_type: Literal["application/dicom+json", "application/json"] = "application/dicom+json"
    modalities_in_study: Literal["match", "loop", "filter"] = "match"
    """The server matches several modalities; only one at a time (loop); none (filter: the hub does)."""
    include_fields: bool = True
    """Name the attributes wanted; off for servers that refuse includefield."""
    describe: Literal["qido", "metadata"] = "qido"
    """How a study's content is learnt: by queries, or from its metadata."""
    page: Annotated[int, Field(ge=1)] = 500
    """Matches asked for at a time."""

    max_json_mb: Annotated[int, Field(ge=1, le=1024)] = 32
    """Largest JSON answer (searches, metadata), in megabytes: it is held in memory."""

    @model_validator(mode="after")
    def _one_way_to_authenticate(self) -> "DicomwebConfig":
        if self.user and self.bearer.get_secret_value():
            raise ValueError("give either user and password, or bearer")
        return self
