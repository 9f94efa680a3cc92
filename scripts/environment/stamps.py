"""Remember which inputs a finished step was made from."""

from __future__ import annotations

from collections.abc import Iterable
import hashlib
from pathlib import Path


def fingerprint(files: Iterable[Path], *extra: str) -> str:
    """
    Return a hash of the names and contents of `files` and of the `extra` strings.

    Folders stand for all files below them, compiled Python files left out.
    """
    digest = hashlib.sha256()
    for text in extra:
        digest.update(f'{text}\0'.encode())
    for path in sorted(_expand(files)):
        digest.update(f'{path}\0'.encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _expand(files: Iterable[Path]) -> Iterable[Path]:
    for path in files:
        if path.is_dir():
            yield from (p for p in path.rglob('*') if p.is_file() and p.suffix != '.pyc')
        elif path.exists():
            yield path


class Stamp:
    """A file that names the fingerprint a step was last finished with."""

    def __init__(self, path: Path) -> None:
        """Keep the stamp in the file `path`."""
        self._path = path

    def exists(self) -> bool:
        """Say whether the step was ever finished."""
        return self._path.exists()

    def matches(self, value: str) -> bool:
        """Say whether the step was last finished with this fingerprint."""
        try:
            return self._path.read_text() == value
        except OSError:
            return False

    def clear(self) -> None:
        """Forget the last finish, so that an interrupted step is run again."""
        self._path.unlink(missing_ok=True)

    def write(self, value: str) -> None:
        """Record that the step finished with this fingerprint."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix('.part')
        draft.write_text(value)
        draft.replace(self._path)
