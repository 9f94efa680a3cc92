"""One CSV line per command, appended while commands go out."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from sara_ros.core.timing import STAGES, TOTAL
from sara_ros.core.timing_windows import CommandTiming
from sara_ros.evaluation.growing_file import GrowingFile

COLUMNS: Final = (
    'episode', 'model_id', 'time_sec', 'sequence', 'warm_up', 'hold',
    *(f'{stage}_ms' for stage in STAGES), f'{TOTAL}_ms',
    'attention_backend', 'later_step', 'observation_age_ms', 'stamp_sec',
)  # fmt: skip
"""Those of ``timing.csv`` of a session's report, and what only a robot's log needs."""

HELD_BYTES: Final = 4_000_000
"""Most text kept in memory while the disk takes none."""


class CommandLog:
    """
    A CSV file that always ends with a whole line.

    ``episode`` counts the stretches of driving: a new one begins with the first warm-up command
    after others, or when the sequence starts anew. ``time_sec`` counts from the first command.
    """

    def __init__(self, path: Path) -> None:
        """
        Create the file.

        :raises OSError: when it cannot be created or is there already.
        """
        self._file = GrowingFile(path)
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator='\n')
        self._rows.writerow(COLUMNS)
        self._first_sec: float | None = None
        self._before: CommandTiming | None = None
        self._episode = 0
        self.flushes = 0

    @property
    def full(self) -> bool:
        """Whether so much waits for the disk that nothing more is taken."""
        return self._text.tell() > HELD_BYTES

    def add(self, command: CommandTiming) -> None:
        """Take a command; stages and total are left empty for a hold and a later step."""
        before = self._before
        if before is None or command.sequence <= before.sequence or (
            command.warm_up and not before.warm_up
        ):  # fmt: skip
            self._episode += 1
        if self._first_sec is None:
            self._first_sec = command.stamp_sec
        self._before = command
        timed = not (command.hold or command.later_step)
        stages = [f'{command.stages_ms[stage]:.4f}' if timed else '' for stage in STAGES]
        age_ms = command.observation_age_ms
        self._rows.writerow([
            self._episode, command.model_id, f'{command.stamp_sec - self._first_sec:.6f}',
            command.sequence, int(command.warm_up), int(command.hold),
            *stages, f'{command.total_ms:.4f}' if timed else '',
            command.attention_backend, int(command.later_step),
            '' if age_ms is None else f'{age_ms:.4f}', f'{command.stamp_sec:.6f}',
        ])  # fmt: skip

    def flush(self) -> None:
        """
        Bring everything taken so far to the disk.

        :raises OSError: when that fails; the file is as before, and the next flush tries again.
        """
        text = self._text.getvalue()
        if text:
            self._file.commit(text.encode())
            self._text.seek(0)
            self._text.truncate()

    def close(self) -> None:
        """Close the file as the last flush left it."""
        self._file.close()
