"""``maillage patients``: the patient index at a terminal. Each command's work is in a module of its own."""

import typer

from hub.app.patients.importing import import_files
from hub.app.patients.learning import evaluate_command, train_command
from hub.app.patients.relink import relink_command

patients = typer.Typer(
    no_args_is_help=True,
    help="Patients: bring identities in, train the matching model, measure it, compare the whole index with it.",
)

# Every command is registered here.
patients.command("train")(train_command)
patients.command("evaluate")(evaluate_command)
patients.command("relink")(relink_command)
patients.command("import")(import_files)
