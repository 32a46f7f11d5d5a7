"""On which line of a TOML file each key stands: tomllib does not say."""

import re

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_PLAIN = re.compile(r"[^,\]}\r\n#]+")
_QUOTED = re.compile(
    r"'''(?s:.*?)'{3,5}"
    r'|"""(?s:(?:\\.|[^\\])*?)"{3,5}'
    r"|'[^'\n]*'"
    r'|"(?:\\.|[^"\\\n])*"'
)


def key_lines(text: str) -> dict[Path, int]:
    """Path of keys and array indexes -> line, counted from 1. ``text`` must be valid TOML."""
    return _Scan(text).run()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of the path, or of the nearest key above it; 0 when none is in the file."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}  #: how many elements each array of tables has

    def run(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip_blank() < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table)
        return self.lines

    def _skip_blank(self) -> int:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _header(self) -> Path:
        array = self.text.startswith("[[", self.at)
        line = self._line()
        self.at += 2 if array else 1
        path: Path = ()
        parts = self._key()
        for position, part in enumerate(parts, start=1):
            path = (*path, part)
            if array and position == len(parts):
                self.tables[path] = self.tables.get(path, 0) + 1
            if path in self.tables:
                path = (*path, self.tables[path] - 1)
        self.at = self.text.index("]", self.at) + (2 if array else 1)
        self.lines[path] = line
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = (*table, *self._key())
        for length in range(len(table) + 1, len(path) + 1):
            self.lines.setdefault(path[:length], line)
        self.at = self.text.index("=", self.at) + 1
        self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            while self.text[self.at] in " \t.":
                self.at += 1
            if self.text[self.at] in "\"'":
                found = _QUOTED.match(self.text, self.at)
                part = found.group()[1:-1] if found else ""
            else:
                found = _BARE.match(self.text, self.at)
                part = found.group() if found else ""
            if found is None:
                return parts
            parts.append(part)
            self.at = found.end()

    def _value(self, path: Path) -> None:
        self._skip_blank()
        opening = self.text[self.at]
        if opening == "[":
            self._many("]", path, keyed=False)
        elif opening == "{":
            self._many("}", path, keyed=True)
        else:
            found = _QUOTED.match(self.text, self.at) or _PLAIN.match(self.text, self.at)
            self.at = found.end() if found else self.at + 1

    def _many(self, closing: str, path: Path, *, keyed: bool) -> None:
        self.at += 1
        index = 0
        self._skip_blank()
        while not self.text.startswith(closing, self.at):
            if keyed:
                self._pair(path)
            else:
                self.lines[(*path, index)] = self._line()
                self._value((*path, index))
                index += 1
            self._skip_blank()
        self.at += 1
