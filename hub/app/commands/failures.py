"""What stops a command from outside: told in one sentence, without a traceback."""

from hub.errors import HubError, Misconfigured, Unavailable


class DatabaseUnreachable(Unavailable):
    """The database of the settings can't be opened, or does not answer."""

    code = "database-unreachable"
    title = "The database can't be opened."


class DatabaseUnknown(Misconfigured):
    """The URL of the database is none that the hub can use."""

    code = "database-unknown"
    title = "storage.database must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."


class TablesAhead(Misconfigured):
    """The database's tables are of a later version of the program."""

    code = "tables-ahead"
    title = "The database was brought up to date by a newer Maillage: run that version, or restore a backup."


class FileUnusable(Misconfigured):
    """A file or directory that the command needs can't be read or written."""

    code = "file-unusable"
    title = "A file or directory can't be used."


def told(error: Exception) -> HubError | None:
    """The sentence for an operator; None: a defect, whose traceback is wanted."""
    from alembic.script.revision import RevisionError  # noqa: PLC0415 (commands start faster without them)
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError  # noqa: PLC0415

    match error:
        case HubError():
            found: HubError | None = error
        case ArgumentError() | NoSuchModuleError():
            found = DatabaseUnknown()
        case DBAPIError(statement=None):  # no statement of ours: it could not be opened
            found = DatabaseUnreachable(f"The database can't be opened: {_first_line(error.orig)}.")
        case RevisionError():
            found = TablesAhead()
        case OSError() if error.filename:
            found = FileUnusable(f"{error.filename}: {error.strerror or type(error).__name__}.")
        case _:
            found = None
    return found


def _first_line(error: BaseException | None) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
