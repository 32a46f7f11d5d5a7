"""The rights matrix: who may read what of whom. One ordered table, the first rule that holds decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hub.access.model import Professional, Purpose
from hub.access.rights_model import Kind, Ruling

#: Roles that give no clinical reading.
WITHOUT_READING: Final = frozenset({"author", "secretary", "device", "operator", "steward", "officer"})
PATIENT, REPRESENTATIVE = "patient", "representative"
OWN_DOCTOR = "medecin_traitant"  #: kind of a care relationship
#: Purposes with which care is asserted: said, or not said at all.
CARE_PURPOSES: Final = frozenset({"", "TREATMENT", Purpose.NORMAL.value})

MASKED, HIDDEN_FROM_PATIENT = "MASQUE_PS", "INVISIBLE_PATIENT"
#: HL7 v2 shortens what XDS writes out (french.md, contradiction 8): both mean it.
HIDDEN_FROM_REPRESENTATIVES = frozenset({"INVISIBLE_REPRESENTANTS_LEGAUX", "INVISIBLE_REP_LEGAUX"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at: everything about one caller, one person and one thing, found out beforehand."""

    kind: Kind = Kind.DOCUMENT
    confidentiality: frozenset[str] = frozenset()
    own: bool = False  #: the caller (person, system or source) made or brought it
    own_structure: bool = False  #: the caller's structure did

    internal: bool = False  #: the hub itself
    known: bool = True  #: somebody vouched for the caller
    person: bool = False  #: a human being
    roles: frozenset[str] = frozenset()
    indirect: bool = False  #: vouched for by their software alone (VIHF, mode INDIRECTE), where that does not read
    occupational: bool = False  #: a doctor of occupational health
    vouched: Professional | None = None  #: who they are by profession, for the rules of a region
    about: bool | None = None  #: the proof is good for one patient: whether it is this one
    purpose: str = Purpose.NORMAL
    reason: bool = False  #: why the glass is broken was said
    glass: bool = False  #: the caller broke the glass for this person a short while ago
    regulator: bool = False  #: of a structure that regulates emergencies

    opposed: bool = False  #: the patient opposes consultation
    emergency_opposed: bool = False  #: and that the glass is broken
    blocked: bool = False  #: and this caller by name
    consented: bool = False  #: the patient said yes to consultation
    consented_by_name: bool = False  #: and to this caller by name
    care: frozenset[str] = frozenset()  #: kinds of the care relationships of the caller with the person
    care_asserted: bool = False  #: the proof itself declares one (rights.care_relationship = "asserted")
    minor: bool = False

    @property
    def reads(self) -> bool:
        """Whether a role of theirs reads clinical content."""
        return bool(self.roles - WITHOUT_READING)

    @property
    def professional(self) -> bool:
        """A person who cares for others."""
        return self.person and bool(self.roles - WITHOUT_READING - {PATIENT, REPRESENTATIVE})

    @property
    def in_care(self) -> bool:
        """Whether there is a care relationship, however it is known."""
        return bool(self.care) or self.care_asserted

    @property
    def emergency(self) -> bool:
        """Whether they ask because life is at stake."""
        return self.glass or self.purpose in (Purpose.BREAK_GLASS, Purpose.REGULATION)


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the matrix. ``says``: the reason that is shown to the caller; it tells nothing about the patient where
    it hides. ``why``: for people who read the matrix. ``source``: the text that it comes from."""

    name: str
    holds: Callable[[Facts], bool]
    allows: bool
    says: str
    why: str
    source: str


#: What the caller is told where a rule hides.
HIDDEN: Final = "The caller may not read this."

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "hub",
        lambda f: f.internal,
        True,
        "The hub's own work.",
        "What the hub does for itself (publishing, notices, checks) is not somebody's reading.",
        "design",
    ),
    Rule(
        "nobody",
        lambda f: not f.known,
        False,
        HIDDEN,
        "A caller for whom nobody vouched reads nothing.",
        "design",
    ),
    Rule(
        "another-patient",
        lambda f: f.about is False,
        False,
        HIDDEN,
        "A proof that is good for one patient (VIHF resource-id) hides every other person, their traits included.",
        "VIHF: resource-id",
    ),
    Rule(
        "patient-unnamed",
        lambda f: bool(f.roles & {PATIENT, REPRESENTATIVE}) and not f.professional and f.about is None,
        False,
        HIDDEN,
        "A patient or a representative reads of the one person whom their proof names.",
        "CSP L1111-7",
    ),
    Rule(
        "identity",
        lambda f: f.kind is Kind.PERSON,
        True,
        "Traits are shown to whom the permissions let ask for them.",
        "Identity feeds and questions go on whatever the patient says of documents; permissions decide.",
        "RNIV",
    ),
    Rule(
        "author",
        lambda f: f.own,
        True,
        "The caller made it or brought it.",
        "Whoever made or brought something always sees it: it is in their own file.",
        "french.md 2.8 (author)",
    ),
    Rule(
        "role-without-reading",
        lambda f: f.person and not f.reads,
        False,
        HIDDEN,
        "Secretaries, devices, operators, stewards and officers read no clinical content; nor does who has no role.",
        "french.md 2.8 (CPE: no consultation)",
    ),
    Rule(
        "authors-structure",
        lambda f: f.own_structure,
        True,
        "The caller's structure made it or brought it.",
        "What a structure made is in its own file, for those in it who read.",
        "french.md 2.8 (own structure)",
    ),
    Rule(
        "blocked",
        lambda f: f.blocked,
        False,
        HIDDEN,
        "Whom the patient blocked by name (a professional or a structure) reads nothing, in no mode.",
        "CSP L1111-19, L1110-4 IV",
    ),
    Rule(
        "invisible-to-patient",
        lambda f: PATIENT in f.roles and not f.professional and HIDDEN_FROM_PATIENT in f.confidentiality,
        False,
        HIDDEN,
        "A document awaits a consultation in which it is announced: until then the patient does not see it.",
        "TRE_A07 INVISIBLE_PATIENT",
    ),
    Rule(
        "invisible-to-representatives",
        lambda f: (
            REPRESENTATIVE in f.roles and not f.professional and bool(HIDDEN_FROM_REPRESENTATIVES & f.confidentiality)
        ),
        False,
        HIDDEN,
        "What a minor keeps from those who have parental authority.",
        "TRE_A07 INVISIBLE_REPRESENTANTS_LEGAUX; CSP L1111-5",
    ),
    Rule(
        "patient",
        lambda f: PATIENT in f.roles and not f.professional,
        True,
        "It is about the caller.",
        "A patient reads what is about them.",
        "CSP L1111-7",
    ),
    Rule(
        "representative-of-minor",
        lambda f: REPRESENTATIVE in f.roles and not f.professional and f.minor,
        True,
        "It is about a minor whom the caller represents.",
        "Those who have parental authority read for the minor.",
        "CSP L1111-7",
    ),
    Rule(
        "representative-of-adult",
        lambda f: REPRESENTATIVE in f.roles and not f.professional and not f.consented_by_name,
        False,
        HIDDEN,
        "Of an adult nobody reads as a representative whom the adult did not name; a minor comes of age overnight.",
        "CSP L1111-7, L1111-6",
    ),
    Rule(
        "indirect",
        lambda f: f.indirect,
        False,
        HIDDEN,
        "Somebody for whom their software alone vouches brings documents and reads none (rights.indirect_reads).",
        "french.md 2.8 (indirect authentication)",
    ),
    Rule(
        "occupational-health",
        lambda f: f.occupational and not f.consented_by_name,
        False,
        HIDDEN,
        "Doctors of occupational health read nothing without the patient's word for them.",
        "french.md 2.8 (médecin du travail); CSP L1111-18",
    ),
    Rule(
        "emergency-opposed",
        lambda f: f.professional and f.emergency and f.emergency_opposed,
        False,
        HIDDEN,
        "A patient may oppose that the glass is broken.",
        "french.md 7.3; CSP R1111-46",
    ),
    Rule(
        "regulation",
        lambda f: f.professional and f.purpose == Purpose.REGULATION and f.regulator,
        True,
        "Emergency regulation.",
        "The doctor who regulates emergency calls (SAMU), in the structures of rights.regulators.",
        "CSP L1111-17 II; TRE_R248 centre_15",
    ),
    Rule(
        "regulation-elsewhere",
        lambda f: f.purpose == Purpose.REGULATION,
        False,
        HIDDEN,
        "Others than those structures do not regulate emergencies.",
        "TRE_R248 centre_15",
    ),
    Rule(
        "break-glass",
        lambda f: f.professional and (f.glass or (f.purpose == Purpose.BREAK_GLASS and f.reason)),
        True,
        "The glass was broken, with a reason.",
        "Life at stake, a patient who can't speak: professionals with a reason, a limited time; the officer is told.",
        "CSP L1111-17 I; french.md 7.3; TRE_R248 bris_de_glace",
    ),
    Rule(
        "break-glass-without-reason",
        lambda f: f.purpose == Purpose.BREAK_GLASS,
        False,
        "The glass is broken by professionals, with a reason.",
        "Without a reason, or by a system, the glass stays whole.",
        "french.md 7.3",
    ),
    Rule(
        "consented-by-name",
        lambda f: f.person and f.consented_by_name and MASKED not in f.confidentiality,
        True,
        "The patient said yes to the caller.",
        "A professional or structure to whom the patient said yes by name, after any opposition to everybody.",
        "CSP L1111-17 III",
    ),
    Rule(
        "opposition",
        lambda f: f.opposed,
        False,
        HIDDEN,
        "The patient opposes consultation: nobody but the author reads, be it a system.",
        "CSP L1110-4 IV, R1111-46; ZFA-11",
    ),
    Rule(
        "masked",
        lambda f: f.person and MASKED in f.confidentiality and OWN_DOCTOR not in f.care,
        False,
        HIDDEN,
        "The patient masked it to professionals: its author and the patient's own doctor see it.",
        "TRE_A07 MASQUE_PS; CSP L1111-15; french.md 2.8",
    ),
    Rule(
        "very-restricted",
        lambda f: f.person and "V" in f.confidentiality and not f.consented_by_name,
        False,
        HIDDEN,
        "Very restricted: the author, and whom the patient said yes to by name.",
        "HL7 Confidentiality V",
    ),
    Rule(
        "system",
        lambda f: not f.person,
        True,
        "A configured system: its permissions say what it may do.",
        "Systems of the region are bound by contract to ask their own users; an opposition binds them as well.",
        "design",
    ),
    Rule(
        "care-relationship",
        lambda f: f.professional and f.in_care,
        True,
        "The caller cares for the patient.",
        "The care team: the patient's consent is presumed as long as they do not oppose.",
        "CSP L1110-4 III, L1110-12",
    ),
    Rule(
        "restricted",
        lambda f: "R" in f.confidentiality,
        False,
        HIDDEN,
        "Restricted: a care relationship is needed, a consent to everybody is not enough.",
        "HL7 Confidentiality R",
    ),
    Rule(
        "consented",
        lambda f: f.professional and f.consented,
        True,
        "The patient said yes to consultation.",
        "Outside the care team: with the patient's explicit consent.",
        "CSP L1111-17 III; ZFA-11",
    ),
    Rule(
        "closed",
        lambda f: True,  # noqa: ARG005
        False,
        HIDDEN,
        "Persons read what a rule lets them read.",
        "design",
    ),
)

BY_NAME: Final[Mapping[str, Rule]] = {rule.name: rule for rule in RULES}


def decide(facts: Facts, rules: Sequence[Rule] = RULES) -> Rule:
    """The first rule that holds. ``rules``: with those of a region (``hub/access/region_rules.py``)."""
    return next(rule for rule in rules if rule.holds(facts))


def ruling(rule: Rule) -> Ruling:
    """What it says to the caller."""
    return Ruling(rule.allows, rule.name, rule.says)
