"""Outcomes on disk, so that an evaluation that was interrupted goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import hashlib
import json
from pathlib import Path
from typing import Any

from sara_ros.core import SaraError
from sara_ros.core.files import make_writable
from sara_ros.evaluation.closed_loop_episode import Job, Outcome
from sara_ros.evaluation.files import write_json


class PieceStore:
    """One file a piece, in a folder named by what its outcomes depend on."""

    def __init__(self, folder: Path) -> None:
        """
        Keep files below ``folder``.

        :raises SaraError: when nothing can be written there.
        """
        self._folder = folder
        try:
            make_writable(folder)
        except OSError as err:
            raise SaraError(f'results cannot be written to {folder}: {err}; see --out') from err

    def get(self, key: Mapping[str, Any], index: int, jobs: Sequence[Job]) -> list[Outcome] | None:
        """Return the outcomes of piece ``index``; ``None`` unless they are of ``jobs``."""
        try:
            data = json.loads(self._path(key, index).read_text(encoding='utf-8'))
            outcomes = [Outcome(**row) for row in data['outcomes']]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        played = {(outcome.slot, outcome.seed) for outcome in outcomes}
        return outcomes if played == set(jobs) else None

    def put(self, key: Mapping[str, Any], index: int, outcomes: Sequence[Outcome]) -> None:
        """
        Keep the outcomes of piece ``index``.

        :raises SaraError: when they cannot be written, as on a full disk.
        """
        path = self._path(key, index)
        rows = [outcome.to_dict() for outcome in outcomes]
        try:
            write_json(path, {**key, 'outcomes': rows})
        except OSError as err:
            raise SaraError(
                f'results cannot be written to {path.parent}: {err}; free some space or choose '
                'another --out. What is there is whole and is used again'
            ) from err

    def _path(self, key: Mapping[str, Any], index: int) -> Path:
        text = json.dumps(key, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f'{key["model_id"]}-{key["suite"]}-{digest}'
        return self._folder / name / f'{index:03d}.json'
