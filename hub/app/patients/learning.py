"""``maillage patients train`` and ``evaluate``: a model learned, and what it is worth."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from hub.app.commands.options import SettingsOption
from hub.app.patients.evaluation import Evaluation, evaluate, page
from hub.app.patients.training import train
from hub.app.settings import file as settings_file
from hub.errors import Invalid
from hub.patients.model import Identity
from hub.patients.scoring import prepared
from hub.patients.scoring.model import Model, default, dump, read
from hub.testing.population import Population

_SOURCE_HELP = "Whom to read: `DB`, the database of the settings; or `population:SEED:RECORDS`, made-up French people."


class UnknownPeople(Invalid):
    """A source of identities that a command does not know."""

    code = "unknown-people"
    title = "The source is DB, or population:SEED:RECORDS."


def train_command(
    out: Annotated[Path, typer.Option(help="The model file to write.")],
    source: Annotated[str, typer.Option("--from", help=_SOURCE_HELP)] = "DB",
    version: Annotated[str, typer.Option(help="What the model is called, in every link that it makes.")] = "",
    expected: Annotated[
        int, typer.Option(help="Records that the index will hold; default: as many as are read.", show_default=False)
    ] = 0,
    settings: SettingsOption = None,
) -> None:
    """Learn a matching model: how much each agreement and each difference between two records says.

    Nobody has to say which records are of one person (EM, with Splink over DuckDB). Needs the extra `matching`:
    `pip install 'maillage[matching]'`. The file goes into `patients.matching.model`. It holds frequencies of names,
    given names, places and postcodes, no person.
    """
    told = Console(stderr=True)
    _to_be_written(out)
    model = train(
        (prepared(identity) for _, identity in people(source, settings)),
        version or out.stem,
        expected=expected or None,
        source=source,
        told=lambda step: told.print(f"{step} ...", highlight=False),
    )
    out.write_bytes(dump(model))
    told.print(f"{out}: model {model.version}, from {model.trained['records']:,} records", highlight=False)


def evaluate_command(
    model: Annotated[Path | None, typer.Option(help="The model; default: the one that comes with the hub.")] = None,
    source: Annotated[str, typer.Option("--on", help="`population:SEED:RECORDS`")] = "population:100:100000",
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
) -> None:
    """Measure a model on people whose truth is known: precision, recall and worklist by threshold, as JSON.

    Take a seed other than the one that it was trained on.
    """
    kind, seed, records = _parsed(source)
    if kind != "population":
        raise UnknownPeople("Only a made-up population says who is truly who: population:SEED:RECORDS.")
    if html is not None:
        _to_be_written(html)
    used: Model = read(model) if model is not None else default()
    found: Evaluation = evaluate(used, Population(seed=seed, records=records))
    typer.echo(orjson.dumps(found.document(), option=orjson.OPT_INDENT_2).decode())
    if html is not None:
        html.write_text(page(found), "utf-8")


def _to_be_written(file: Path) -> None:
    """Raises OSError before long work, not after it."""
    if not file.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))


def people(source: str, settings: Path | None) -> Iterator[tuple[int, Identity]]:
    """(who, identity) of a source; of a database nobody knows who: the row's number. Raises UnknownPeople."""
    kind, seed, records = _parsed(source)
    if kind == "population":
        yield from Population(seed=seed, records=records)
        return
    from hub.app.wiring import Hub  # noqa: PLC0415 (other commands start faster without it)
    from hub.patients.relinking import Relinking  # noqa: PLC0415

    hub = Hub(settings_file.load(settings or settings_file.default_file()))
    try:
        hub.prepare()
        for members in Relinking(hub.patients).identities():
            yield from ((member.id, member.identity) for member in members)
    finally:
        hub.stop()


def _parsed(source: str) -> tuple[str, int, int]:
    if source == "DB":
        return "DB", 0, 0
    parts = source.split(":")
    if len(parts) != 3 or parts[0] != "population" or not all(part.isdecimal() for part in parts[1:]):
        raise UnknownPeople()
    return parts[0], int(parts[1]), int(parts[2])
