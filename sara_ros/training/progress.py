"""Progress bars that a caller may or may not have started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress


@contextmanager
def running(progress: Progress | None) -> Iterator[Progress]:
    """Yield ``progress``, started; a silent one for ``None``. Stops only what it started."""
    bar = progress or Progress(disable=True)
    if bar.live.is_started:
        yield bar
        return
    with bar:
        yield bar
