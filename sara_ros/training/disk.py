"""Files of a training run: complete or not there, also on a disk that is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from sara_ros.core import ParameterError
from sara_ros.core.files import replacing


class DiskError(ParameterError):
    """A file cannot be written; nothing that was asked for is wrong."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """
    Yield the name of a temporary file that takes the place of ``path`` when the block succeeds.

    :raises DiskError: when it cannot be written; ``path`` is then as it was before.
    """
    try:
        with replacing(path) as partial:
            yield partial
    except (OSError, SafetensorError) as err:
        raise DiskError(
            f'{path} cannot be written: {err}; the file is as it was before. Make room and give '
            'the same command again, it goes on from what is on the disk'
        ) from err


__all__ = ['DiskError', 'writing']
