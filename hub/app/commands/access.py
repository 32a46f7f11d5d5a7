"""``maillage access``: the rights matrix, and what it says of somebody's request."""

from typing import Annotated

import typer
from rich.console import Console

from hub.access.consents import ConsentService
from hub.access.model import HUB, Purpose
from hub.access.region_rules import table
from hub.access.rights_model import ExplainAccess, Explained, Kind, Thing
from hub.access.roles import ROLES
from hub.access.rules import PATIENT, REPRESENTATIVE
from hub.app import rights
from hub.app.commands.options import SettingsOption
from hub.app.reference import rights_matrix
from hub.app.settings import file as settings_file
from hub.app.settings.model import Settings
from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.known import KnownPersons
from hub.patients.service import PatientService
from hub.values import PatientIdentifier

access = typer.Typer(no_args_is_help=True, help="Rights: who may read what of whom, and why.")
_ROLES = {*ROLES, PATIENT, REPRESENTATIVE}
out = Console(soft_wrap=True, highlight=False)


@access.command("rules")
def rules_command(settings: SettingsOption = None) -> None:
    """Print the rights matrix with the region's own rules: the first rule that holds decides."""
    found = settings_file.load(settings or settings_file.default_file())
    for line in rights_matrix.lines(table(rights.region_rules(found))):
        out.print(line, markup=False)


@access.command("explain")
def explain_command(  # noqa: PLR0917 (options)
    professional: Annotated[str, typer.Option(help="National id (idNat_PS), or the login of a configured user.")],
    patient: Annotated[str, typer.Option(help="The patient: number^^^&authority OID&ISO.")],
    purpose: Annotated[Purpose, typer.Option(help="What it is for.")] = Purpose.NORMAL,
    structure: Annotated[str, typer.Option(help="National id (Struct_IdNat) of the professional's structure.")] = "",
    speciality: Annotated[list[str] | None, typer.Option(help="Speciality, TRE_R01; may be repeated.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role; may be repeated. Otherwise clinician.")] = None,
    profession: Annotated[str, typer.Option(help="Profession, TRE_G15.")] = "",
    reason: Annotated[str, typer.Option(help="Why the glass is broken.")] = "",
    code: Annotated[list[str] | None, typer.Option(help="Confidentiality code of one document to ask about.")] = None,
    author: Annotated[list[str] | None, typer.Option(help="Its authors: persons, structures, sources.")] = None,
    settings: SettingsOption = None,
) -> None:
    """Say what a professional may read of a patient, which rule decides, and which were passed before it."""
    unknown = sorted({*(role or ())} - _ROLES)
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(sorted(_ROLES))}", param_hint="--role")
    identifier = PatientIdentifier.from_cx(patient)
    thing = Thing(Kind.DOCUMENT, identifier, frozenset(code or ("N",)), frozenset(author or ()))
    command = ExplainAccess(
        professional=professional,
        patient=identifier,
        purpose=purpose.value,
        things=(thing,) if code or author else (),
        structure=structure,
        specialities=tuple(speciality or ()),
        roles=frozenset(role or ("clinician",)),
        reason=reason,
        profession=profession,
    )
    found = settings_file.load(settings or settings_file.default_file())
    explained, why = _explain(command, found), {rule.name: rule.why for rule in table(rights.region_rules(found))}
    for item in explained:
        codes = " ".join(sorted(item.thing.confidentiality))
        ruling = item.ruling
        what = f"{item.thing.kind} {codes}".strip()
        out.print(
            f"{what:42} {'shown ' if ruling.allowed else 'hidden'} {ruling.rule}: {why[ruling.rule]}", markup=False
        )
    if explained:
        out.print(f"passed before the last: {', '.join(explained[-1].passed) or 'none'}", markup=False)


def _explain(command: ExplainAccess, found: Settings) -> tuple[Explained, ...]:
    from hub.app.rooms import open_database  # noqa: PLC0415 (other commands start faster without it)

    database = open_database(found)
    try:
        directory = AuthorityDirectory(database=database, configured=(), accept_new=False)
        patients = PatientService(
            database=database,
            directory=directory,
            affinity_domain=found.region.affinity_domain,
            other_affinity_domains=found.region.other_affinity_domains,
        )
        service = rights.build(found, database)
        service.people = KnownPersons(patients)
        context = Context(principal=HUB)
        outcome: tuple[Explained, ...] = ConsentService(service).explain(command, context)
        return outcome
    finally:
        database.dispose()
