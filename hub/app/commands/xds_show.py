"""Registry objects and problems as tables and as JSON, for people at a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hub.documents.model import Association, DocumentEntry, Folder, RegistryObject, SubmissionSet
from hub.wire.ebxml.errors import RegistryProblem

#: Kind of object -> heading and how a row gets its text.
_COLUMNS: Mapping[type, tuple[tuple[str, Any], ...]] = {
    DocumentEntry: (
        ("created", lambda item: when(item.creation_time)),
        ("title", lambda item: item.title),
        ("type", lambda item: item.type_code.display or item.type_code.value if item.type_code else ""),
        ("media type", lambda item: item.mime_type),
        ("bytes", lambda item: "" if item.size is None else str(item.size)),
        ("status", lambda item: short(item.status)),
        ("version", lambda item: str(item.version)),
        ("uniqueId", lambda item: item.unique_id),
        ("entryUUID", lambda item: item.id),
    ),
    SubmissionSet: (
        ("submitted", lambda item: when(item.submission_time)),
        ("title", lambda item: item.title),
        ("content", lambda item: item.content_type_code.display if item.content_type_code else ""),
        ("source", lambda item: item.source_id),
        ("status", lambda item: short(item.status)),
        ("uniqueId", lambda item: item.unique_id),
        ("entryUUID", lambda item: item.id),
    ),
    Folder: (
        ("updated", lambda item: when(item.last_update_time)),
        ("title", lambda item: item.title),
        ("codes", lambda item: ", ".join(code.display or code.value for code in item.codes)),
        ("status", lambda item: short(item.status)),
        ("uniqueId", lambda item: item.unique_id),
        ("entryUUID", lambda item: item.id),
    ),
    Association: (
        ("association", lambda item: short(item.type)),
        ("source", lambda item: item.source),
        ("target", lambda item: item.target),
        ("status", lambda item: short(item.status)),
        ("id", lambda item: item.id),
    ),
}
_TITLES = {
    DocumentEntry: "documents",
    SubmissionSet: "submission sets",
    Folder: "folders",
    Association: "associations",
}


def short(urn: str) -> str:
    """The last word of a URN."""
    return urn.rpartition(":")[2]


def when(dtm: str) -> str:
    """DTM text as people write it."""
    date = "-".join(part for part in (dtm[:4], dtm[4:6], dtm[6:8]) if part)
    clock = ":".join(part for part in (dtm[8:10], dtm[10:12]) if part)
    return f"{date} {clock}".strip()


def show_objects(out: Console, objects: Sequence[RegistryObject], references: Iterable[tuple[str, str]] = ()) -> None:
    """One table for every kind of object."""
    for kind, columns in _COLUMNS.items():
        rows = [item for item in objects if isinstance(item, kind)]
        if not rows:
            continue
        table = Table(box=None, header_style="bold", pad_edge=False, title=_TITLES[kind], title_justify="left")
        for name, _ in columns:
            table.add_column(name, overflow="fold")
        for item in rows:
            table.add_row(*(escape(text(item)) for _, text in columns))
        out.print(table, highlight=False)
    listed = [f"{identifier} {home}".strip() for identifier, home in references]
    for line in listed:
        out.print(line, markup=False, highlight=False)
    out.print(f"{len(objects) + len(listed)} found", highlight=False)


def show_problems(err: Console, problems: Iterable[RegistryProblem]) -> None:
    """Each with its XDS code, its text and its place."""
    for row in problems:
        colour = "yellow" if row.severity.endswith(":Warning") else "red"
        place = f" [dim]({escape(row.location)})[/dim]" if row.location and row.location not in row.context else ""
        err.print(f"[{colour}]{escape(row.code)}[/{colour}] {escape(row.context)}{place}", highlight=False)


def as_json(items: Iterable[Any]) -> list[Any]:
    """Dataclasses as objects, with what kind each is."""
    return [
        {"kind": type(item).__name__, **asdict(item)} if is_dataclass(item) and not isinstance(item, type) else item
        for item in items
    ]
