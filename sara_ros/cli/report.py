"""Renders an exported session as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sara_ros.core import ParameterError
from sara_ros.evaluation.telemetry_page import write_telemetry_page
from sara_ros.evaluation.telemetry_session import read_session

PAGE_FILE: Final = 'report.html'


def render_session(session: Path, out: Path | None = None) -> Path:
    """
    Write the page of an exported session and return its path.

    :param session: folder that the model manager exported to, or a CSV or MCAP file of one; of a
        folder with several sessions the newest is taken.
    :param out: where to write; ``report.html`` beside the files when None.
    :raises ParameterError: when there is nothing to read.
    """
    if not session.exists():
        raise ParameterError(f'{session} does not exist')
    folder = newest_session(session) if session.is_dir() else session
    path = out or (folder if folder.is_dir() else folder.parent) / PAGE_FILE
    write_telemetry_page(read_session(folder), path)
    return path


def newest_session(folder: Path) -> Path:
    """Return the newest session below ``folder``; itself where it is one, or holds none."""
    if (folder / 'session.json').is_file():
        return folder
    sessions = sorted(path.parent for path in folder.glob('*/session.json'))
    return sessions[-1] if sessions else folder
