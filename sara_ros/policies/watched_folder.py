"""Notices new and changed models in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sara_ros.core import CheckpointError
from sara_ros.core.errors import describe
from sara_ros.policies.checkpoint import StoredCheckpoint, model_names
from sara_ros.policies.loading import verify

Signature: TypeAlias = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    """A model folder after verification; ``error`` says what is wrong with it."""

    model_id: str
    stored: StoredCheckpoint | None
    error: str = ''


class WatchedFolder:
    """
    Verifies each model of a folder whenever its files change.

    Files are compared by modification time and size. A folder that still changes between two
    looks is being written, and is verified once it has come to rest.
    """

    def __init__(self, models_dir: Path) -> None:
        """Know of no models yet."""
        self.models_dir = models_dir
        self._seen: dict[str, Signature] = {}
        self._verified: dict[str, tuple[Signature, VerifiedModel]] = {}

    def look(self) -> set[str]:
        """Return the models that have come to rest in another shape than they were verified in."""
        seen = {name: _signature(self.models_dir / name) for name in self._names()}
        rested = {name for name, signature in seen.items() if self._seen.get(name) == signature}
        self._seen = seen
        return {
            name
            for name in rested
            if name not in self._verified or self._verified[name][0] != seen[name]
        }

    def forget_missing(self) -> bool:
        """Drop the models that are gone; True when there were any."""
        missing = self._verified.keys() - self._seen.keys()
        for name in missing:
            del self._verified[name]
        return bool(missing)

    def verify(self, names: set[str]) -> None:
        """Check hash, description and architecture of models that :meth:`look` returned."""
        for name in sorted(names):
            signature = self._seen.get(name, ())
            try:
                model = VerifiedModel(name, verify(self.models_dir, name))
            except Exception as err:  # a broken model may raise anything, and must be told of
                model = VerifiedModel(name, None, describe(err))
            self._verified[name] = signature, model

    def models(self) -> list[VerifiedModel]:
        """Return every verified model by name, broken ones included."""
        return [model for _, (_, model) in sorted(self._verified.items())]

    def _names(self) -> list[str]:
        try:
            return model_names(self.models_dir)
        except CheckpointError:  # removed while it was read; the next look tells
            return []


def _signature(folder: Path) -> Signature:
    """Return names, times and sizes of the files of a model; empty when it is gone."""
    try:
        stats = [(path.name, path.lstat()) for path in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
