"""The French national record: the DMP, by the transactions of its interface for software (TD0.2 to TD3.3)."""

from connectors.dmp.config import DmpConfig
from connectors.dmp.connector import DmpConnector
from hub.connector.contract import Capability, Level, Manifest

MANIFEST = Manifest(
    kind="dmp",
    title="National record (DMP)",
    config=DmpConfig,
    open=DmpConnector,
    capabilities=dict.fromkeys(Capability, Level.NONE) | {Capability.NATIONAL_RECORD: Level.PARTIAL},
    notes=(
        "Built from published facts and tried against the hub's own simulator: homologation by the CNDA has not been "
        "passed, and its interface specification (SEL-MP-037) was not available.",
        "TD0.4, TD0.5, TD1 (administrative data, authorisations) and secret connections are not offered.",
    ),
)
