"""What can be wrong with an import."""

from hub.errors import Conflict, Invalid


class ImportElsewhere(Conflict):
    """Another process goes on with the same import: each record is taken in once."""

    code = "import-elsewhere"
    title = "The same file is being imported by another process."


class ImportFile(Invalid):
    """A file can't be read, or its form can't be told; ``location`` is its name."""

    code = "import-file"
    title = "The file can't be imported."


class ImportColumns(Invalid):
    """The columns of a CSV file, or their mapping, are not what an import needs; ``location`` names the column."""

    code = "import-columns"
    title = "The columns can't be mapped."


class ImportRecord(Invalid):
    """A record of a file is not readable: too long, no text of the file's character set, no JSON, no message."""

    code = "import-record"
    title = "The record can't be read."


class ImportValue(Invalid):
    """A value of a record does not have the form of its column; ``location`` names the column."""

    code = "import-value"
    title = "A value of the record is not valid."
