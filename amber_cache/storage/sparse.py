"""A file in memory that holds only what was written to it.

HDF5 lays a whole cache out in it, vectors included, and writes all but the vectors: so that what a
cache needs in memory does not grow with the vectors, and no write of HDF5's can ever fail.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

_PAGE_BYTES = 1 << 14


class SparseFile(io.RawIOBase):
    r"""What was never written reads as zeros and takes no memory.

    >>> file = SparseFile()
    >>> file.seek(10**12) and file.write(b"end")
    3
    >>> file.size, sum(len(page) for _, page in file.pages())
    (1000000000003, 16384)
    """

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self._place = 0
        self._pages: dict[int, bytearray] = {}

    def pages(self) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of each page that was written to, the last page first.

        A page may reach beyond `size`. With the first page written last, a file that was written
        out in part lacks its beginning, and is nothing that anybody could read.
        """
        for number in sorted(self._pages, reverse=True):
            yield number * _PAGE_BYTES, bytes(self._pages[number])

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next byte is read or written."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; it may lie behind the end."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        self._place = start + offset
        return self._place

    def truncate(self, size: int | None = None) -> int:
        """Set the size; nothing is written."""
        self.size = self._place if size is None else size
        return self.size

    def write(self, data: object) -> int:
        """Write bytes at the place."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        for start, stop, number, offset in _parts(self._place, len(view)):
            page = self._pages.setdefault(number, bytearray(_PAGE_BYTES))
            page[offset : offset + stop - start] = view[start:stop]
        self._place += len(view)
        self.size = max(self.size, self._place)
        return len(view)

    def readinto(self, buffer: object) -> int:
        """Read bytes at the place, zeros where nothing was written."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        for start, stop, number, offset in _parts(self._place, len(view)):
            page = self._pages.get(number)
            length = stop - start
            view[start:stop] = bytes(length) if page is None else page[offset : offset + length]
        self._place += len(view)
        return len(view)


def _parts(place: int, length: int) -> Iterator[tuple[int, int, int, int]]:
    """A stretch page by page: its start and end in the data, the page, the offset in it."""
    start = 0
    while start < length:
        number, offset = divmod(place + start, _PAGE_BYTES)
        stop = min(length, start + _PAGE_BYTES - offset)
        yield start, stop, number, offset
        start = stop
