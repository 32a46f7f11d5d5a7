"""What a streamed body is made of: bytes, or a stretch of a file that need not pass through the program at all."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hub.errors import InternalError

#: A stretch of a file is sent, or read, in pieces of this size.
_READ = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FilePiece:
    """``size`` bytes of an open file from ``offset`` on. Whoever hands it out keeps the file open until the next piece
    is asked for."""

    handle: int
    offset: int
    size: int

    def __len__(self) -> int:
        return self.size

    def chunks(self) -> Iterator[bytes]:
        """Its bytes. Raises InternalError when the file has become shorter."""
        position, end = self.offset, self.offset + self.size
        while position < end:
            chunk = os.pread(self.handle, min(end - position, _READ), position)
            if not chunk:
                raise InternalError("A spooled file is shorter than what was written to it.")
            position += len(chunk)
            yield chunk


Chunk = bytes | FilePiece


def file_pieces(handle: int, offset: int, size: int) -> Iterator[Chunk]:
    """A stretch of an open file, in pieces between which a sender can look whether anybody still listens."""
    end = offset + size
    for start in range(offset, end, _READ):
        yield FilePiece(handle, start, min(_READ, end - start))


def plain(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """The same body as bytes, for who can't send from files."""
    for chunk in chunks:
        if isinstance(chunk, FilePiece):
            yield from chunk.chunks()
        else:
            yield chunk
