"""Archives that speak DIMSE: C-FIND, and C-GET or C-MOVE."""

from connectors.dimse.config import DimseConfig
from connectors.dimse.connector import DimseConnector
from hub.connector.contract import Capability, Level, Manifest

MANIFEST = Manifest(
    kind="dimse",
    title="PACS over DIMSE (C-FIND, C-GET, C-MOVE, C-STORE)",
    config=DimseConfig,
    open=DimseConnector,
    capabilities={
        Capability.FIND_STUDIES: Level.FULL,
        Capability.DESCRIBE_STUDY: Level.FULL,
        Capability.RETRIEVE_INSTANCES: Level.FULL,
        Capability.METADATA: Level.NONE,
        Capability.PASS_THROUGH: Level.NONE,
        Capability.STORE_INSTANCES: Level.FULL,
    },
    notes=(
        "Metadata, frames and rendered images are made by the hub from the objects, which are fetched for it.",
        "C-MOVE needs the hub's AE title and address configured at the PACS.",
    ),
)
