"""Make the ROS wheels usable for compiling an interface package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import re

# The wheels were built in containers that keep their interpreters below this folder.
_BUILD_PATH = re.compile(r'/opt/python/[^;"]+')


def rewrite_exports(files: Iterable[Path], python_include: str, numpy_include: str) -> int:
    """
    Point exported CMake targets to this interpreter's and NumPy's headers.

    :returns: how many files were changed; 0 on a second call
    """

    def local_path(match: re.Match[str]) -> str:
        return numpy_include if 'numpy' in match.group() else python_include

    changed = 0
    for path in files:
        before = path.read_text()
        after = _BUILD_PATH.sub(local_path, before)
        if after != before:
            path.write_text(after)
            changed += 1
    return changed
