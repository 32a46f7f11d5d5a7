"""``maillage patients``: the patient index at a terminal. Each command's work is in a module of its own."""

import typer

patients = typer.Typer(
    no_args_is_help=True,
    help="Patients: bring identities in, train the matching model, measure it, compare the whole index with it.",
)

# Every command is registered here: patients.command("import")(patients_import_command) and so on.
