"""Archives that speak DICOMweb: QIDO-RS and WADO-RS."""

from connectors.dicomweb.config import DicomwebConfig
from connectors.dicomweb.connector import DicomwebConnector
from hub.connector.contract import Capability, Level, Manifest

MANIFEST = Manifest(
    kind="dicomweb",
    title="PACS over DICOMweb (QIDO-RS, WADO-RS, STOW-RS)",
    config=DicomwebConfig,
    open=DicomwebConnector,
    capabilities=dict.fromkeys(Capability, Level.FULL) | {Capability.NATIONAL_RECORD: Level.NONE},
    notes=("Rendered images and frames are as good as the server's own.",),
)
