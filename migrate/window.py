"""The part of an SQL file that is in memory, and COPY data on their way through it.

Used by ``statements`` alone. Knows lines, columns, blocks and the end of COPY data;
knows nothing of SQL.
"""

from typing import BinaryIO, Final

from migrate.errors import NotUtf8
from migrate.misfits import NulByte

BLOCK: Final = 1 << 18
_MARK: Final = b"\xef\xbb\xbf"


class Window:
    """The part of the file that is in memory, and where in the file it lies."""

    def __init__(self, stream: BinaryIO, file: str) -> None:
        """Take a stream of bytes, and the file's name for errors."""
        self.file = file
        self.text = b""
        self.offset = 0  # of text[0] in the file
        self.ended = False  # the stream is
        self.plain = True  # ASCII without NUL: nothing to verify, bytes are characters
        self._stream = stream
        self._counted = 0  # the place whose line and column are:
        self._line = 1
        self._column = 1
        self._seam: tuple[int, int, int] | None = None  # see `put_before`

    def begin(self) -> int:
        """Read the first block and return the place after a byte order mark."""
        self.grow()
        self._counted = len(_MARK) if self.text.startswith(_MARK) else 0
        return self._counted

    def grow(self) -> bool:
        """Read a block; a larger one behind a large statement, to stay linear."""
        block = self._stream.read(max(BLOCK, len(self.text) >> 2))
        if not block:
            self.ended = True
            return False
        self.text += block
        self.plain = self.plain and _is_plain(block)
        return True

    def drop(self, place: int) -> None:
        """Forget what lies before this place."""
        if self._counted < place:
            self.locate(place)
        self.text = self.text[place:]
        self.offset += place
        self._counted -= place
        if self._seam:
            self._seam = (self._seam[0] - place, *self._seam[1:])
        self.plain = self.plain or _is_plain(self.text)

    def locate(self, place: int) -> tuple[int, int]:
        """Return line and column; places are asked for in ascending order."""
        if self._seam and place >= self._seam[0]:
            self._counted, offset, self._line = self._seam
            self.offset = offset - self._counted
            self._column, self._seam = 1, None
        first = self._counted
        if lines := self.text.count(b"\n", first, place):
            first = self.text.rfind(b"\n", first, place) + 1
            self._line += lines
            self._column = 1
        self._column += (
            place - first
            if self.plain
            else len(self.text[first:place].decode(errors="replace"))
        )
        self._counted = place
        return self._line, self._column

    def put_before(self, rest: bytes, start: tuple[int, int, int], place: int) -> None:
        """Put the rest of a COPY's line before what follows its data.

        ``start`` is its offset, line and column. psql reads in that order. The seam
        between them remembers where in the file counting goes on.
        """
        line, _ = self.locate(place)
        self._seam = (len(rest), self.offset + place, line)
        self.text = rest + self.text[place:]
        self.offset, self._line, self._column = start
        self._counted = 0

    def verify(self, first: int, last: int) -> None:
        """Raise `NotUtf8` or `NulByte` if this part is not text."""
        if self.plain:
            return
        piece = self.text[first:last]
        nul = piece.find(b"\0")
        try:
            piece.decode()
        except UnicodeDecodeError as error:
            nul = error.start if nul < 0 else min(nul, error.start)
        if nul >= 0:
            line, column = self.locate(first + nul)
            if byte := piece[nul]:
                raise NotUtf8(file=self.file, line=line, column=column, byte=byte)
            raise NulByte(file=self.file, line=line, column=column)


def _is_plain(block: bytes) -> bool:
    return block.isascii() and b"\0" not in block


class CopyData:
    r"""The data of one COPY, up to the line ``\.`` or the end of the file."""

    def __init__(self, window: Window, start: int) -> None:
        """Begin where the data do; the byte before is a line end or the file's last."""
        self.bytes_read = 0
        self._window = window
        self._next = self._limit = start  # between them lies what is known to be data
        self._fresh = True  # what follows the limit was not looked at
        self._after = -1  # where the file goes on, once known

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end of the data."""
        self._fill()
        piece = self._window.text[self._next : min(self._next + size, self._limit)]
        self._next += len(piece)
        self.bytes_read += len(piece)
        return piece

    def skip(self) -> int:
        """Pass over what was not read and return the place where the file goes on."""
        self._fill()
        while self._next < self._limit:
            self._next = self._limit
            self._fill()
        return self._after

    def _fill(self) -> None:
        while self._next == self._limit and self._after < 0:
            if not self._fresh:
                # One byte stays: the line end that a line `\.` must come after.
                self._window.drop(self._limit - 1)
                self._next = self._limit = 1
                self._window.grow()
            self._fresh = False
            self._look_ahead()

    def _look_ahead(self) -> None:
        text, ended = self._window.text, self._window.ended
        at = text.find(b"\n\\.", self._limit - 1)
        while at >= 0:
            tail = text[at + 3 : at + 5]
            if tail[:1] == b"\n" or tail == b"\r\n" or (ended and tail in b"\r"):
                self._limit = at + 1
                self._after = at + (4 if tail[:1] == b"\n" else 3 + len(tail))
                return
            if tail in b"\r":  # cut by the end of the block
                self._limit = at + 1
                return
            at = text.find(b"\n\\.", at + 1)
        self._limit = len(text)
        if ended:
            self._after = len(text)
        elif text.endswith(b"\n\\"):
            self._limit -= 1
