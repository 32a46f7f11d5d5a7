"""Who may read what of whom."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hub.access.professions import ROLES_OF
from hub.access.rules import BY_NAME
from hub.app.settings.saml import PurposeName
from hub.app.settings.table import OidText, Table

#: Codes that everybody has: HL7 Confidentiality, TRE_A07. Others must be in the region's vocabulary.
CONFIDENTIALITY = frozenset(
    {
        *("U", "L", "M", "N", "R", "V"),
        *("MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX", "INVISIBLE_REP_LEGAUX"),
    }
)
PROFESSIONS = frozenset(code for _, code in ROLES_OF)
#: What a rule may ask for; the others of its keys say what it is.
CONDITIONS = (
    *("kind", "confidentiality", "person", "roles", "professions", "specialities", "structures", "purpose"),
    *("emergency", "minor", "in_care", "consented"),
)
_OF_PERSONS = ("roles", "professions", "specialities", "structures", "in_care")


def _new_name(name: str) -> str:
    """Raises ValueError for the name of a rule of the hub's own."""
    if name in BY_NAME:
        raise ValueError("is the name of a rule of the hub's own")
    return name


def _profession(code: str) -> str:
    """Raises ValueError for one that no table of the hub has."""
    if code not in PROFESSIONS:
        raise ValueError("is no profession's code that the hub knows (TRE_G15, TRE_G16, ISCO-08, SNOMED CT)")
    return code


class RightsRule(Table):
    """A rule of the region's own (docs: how to write access rules). It holds where all that is asked for holds; of a
    list one is enough. Rules that refuse stand before those of the hub by which others than the patient and the author
    read; rules that allow, behind all of them: they open only what no rule refuses."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$"), AfterValidator(_new_name)] = Field(
        examples=["occupational-images"]
    )
    """How rulings and `maillage access explain` call it: small letters, digits, hyphens."""
    allows: bool = Field(examples=[False])
    """Whether it shows or hides what it holds for."""
    why: str = Field(pattern=r"\S", examples=["Radiologists of the screening centres read no reports."])
    """For people who read the matrix; the caller is not told."""
    source: str = Field(default="", examples=["Convention régionale, art. 4"])
    """The text that it comes from."""
    kind: tuple[Literal["document", "study"], ...] = Field(default=(), examples=[("document",)])
    """What is to be read."""
    confidentiality: tuple[str, ...] = Field(default=(), examples=[("R",)])
    """Codes that it bears: of HL7 (U, L, M, N, R, V), of TRE_A07, or of confidentialityCode in the vocabulary. For
    rules that refuse. A study bears those of its manifests."""
    person: bool | None = Field(default=None, examples=[True])
    """Whether the caller is a person rather than a system. What a rule asks of professionals no system meets."""
    roles: tuple[Literal["clinician", "author", "operator", "steward", "officer", "representative"], ...] = Field(
        default=(), examples=[("clinician",)]
    )
    """The caller's roles."""
    professions: tuple[Annotated[str, AfterValidator(_profession)], ...] = Field(default=(), examples=[("60",)])
    """The caller's profession: codes of TRE_G15, TRE_G16, ISCO-08, SNOMED CT."""
    specialities: tuple[Annotated[str, Field(pattern=r"^[A-Z]+[0-9]+$")], ...] = Field(default=(), examples=[("SM25",)])
    """The caller's specialities (TRE_R01)."""
    structures: tuple[Annotated[str, Field(pattern=r"^\S+$")], ...] = Field(default=(), examples=[("1750100125",)])
    """The structure (national id) in which the caller works."""
    purpose: tuple[PurposeName, ...] = Field(default=(), examples=[("normal",)])
    """What for. Who says nothing of it asks for normal."""
    emergency: bool | None = Field(default=None, examples=[False])
    """Whether life is at stake: the glass was broken, or the purpose says so."""
    minor: bool | None = Field(default=None, examples=[True])
    """Whether the patient is surely a minor."""
    in_care: bool | None = Field(default=None, examples=[False])
    """Whether the caller is a professional who cares for the patient (see care_relationship)."""
    consented: bool | None = Field(default=None, examples=[False])
    """Whether the patient said yes to consultation, to everybody or to the caller."""

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        asked = [name for name in CONDITIONS if getattr(self, name) not in ((), None)]
        empty = [name for name in CONDITIONS if name in self.model_fields_set and getattr(self, name) == ()]
        if empty:
            raise ValueError(f"{empty[0]} must name at least one")
        if not asked:
            raise ValueError(f"has no condition, it would hold for everybody: one of {', '.join(CONDITIONS)}")
        of_persons = [name for name in asked if name in _OF_PERSONS]
        if self.person is False and of_persons:
            raise ValueError(f"can never hold: person = false, and {of_persons[0]} is asked of persons")
        if self.allows and self.person is False:
            raise ValueError("allows systems what nothing refuses them: a rule that allows is about persons")
        if self.allows and self.confidentiality:
            raise ValueError("a rule that allows can't ask for confidentiality: it opens nothing that a code hides")
        return self


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
    rules: tuple[RightsRule, ...] = ()
    """The region's own rules."""
