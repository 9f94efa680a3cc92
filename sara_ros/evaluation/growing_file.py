"""A file that grows and is whole whenever somebody looks at it."""

from __future__ import annotations

from contextlib import suppress
import os
from pathlib import Path


class GrowingFile:
    """
    A body that grows, followed by a tail that the next commit overwrites.

    A commit that fails, for instance on a full disk, leaves the file as it was: the old tail is
    written back into blocks that the file has already. What was committed survives the end of
    this process and of the machine.
    """

    def __init__(self, path: Path) -> None:
        """
        Create the file.

        :raises FileExistsError: when there is one; nothing recorded is ever overwritten.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._tail = b''
        self.size = 0
        """Length of the body."""

    def commit(self, body: bytes, tail: bytes = b'') -> None:
        """
        Append ``body``, and let ``tail`` follow until the next commit.

        :raises OSError: when not everything could be written; the file then is as before.
        """
        try:
            self._write(body + tail)
            os.ftruncate(self._file, self.size + len(body) + len(tail))
            os.fdatasync(self._file)
        except OSError:
            with suppress(OSError):
                self._write(self._tail)
                os.ftruncate(self._file, self.size + len(self._tail))
            raise
        self.size += len(body)
        self._tail = tail

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        offset = self.size
        while view:
            written = os.pwrite(self._file, view, offset)
            offset += written
            view = view[written:]
