"""Who may read what of whom."""

from typing import Literal

from pydantic import Field

from hub.app.settings.table import OidText, Table


class Rights(Table):
    """Who may read what of whom."""

    care_relationship: Literal["asserted", "known"] = "asserted"
    """How it is known that a professional cares for a patient: their own proof with the purpose normal says so, or only
    an admission in their structure, the patient's word, or a declaration in the portal."""
    structures: dict[OidText, str] = Field(default_factory=dict, examples=[{"1.2.250.1.999.10.1": "1750100125"}])
    """The structure (national id) of each authority of patient numbers: whose patients its admissions make."""
    care_days: int = Field(default=90, ge=0)
    """Days after the end of a stay for which its structure still cares for the patient."""
    break_glass_minutes: int = Field(default=60, ge=1, le=1440)
    """Minutes for which broken glass stays broken, for one professional and one person."""
    regulators: tuple[str, ...] = Field(default=(), examples=[("1750100125",)])
    """Structures (national ids) whose professionals regulate emergency calls: purpose centre_15."""
    indirect_reads: bool = True
    """Whether somebody for whom their software alone vouches (VIHF, mode INDIRECTE) reads; the DMP says no."""
    occupational_specialities: tuple[str, ...] = ("SM25",)
    """Specialities (TRE_R01) of occupational health: they read nothing without the patient's word for them."""
