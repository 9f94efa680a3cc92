"""Finds the package's own models and configuration, in the source tree or installed."""

from __future__ import annotations

import os
from pathlib import Path

from sara_ros.core.errors import ParameterError


def package_folder(name: str) -> Path:
    """
    Return the folder ``models``, ``config`` or ``launch`` of this package.

    :raises ParameterError: when neither the source tree nor an ament prefix holds it.
    """
    roots = [Path(__file__).resolve().parents[2]]
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    roots += [Path(prefix) / 'share' / 'sara_ros' for prefix in prefixes if prefix]
    for root in roots:
        if (root / name).is_dir():
            return root / name
    raise ParameterError(
        f"folder '{name}' of sara_ros was found neither beside the package nor in "
        'AMENT_PREFIX_PATH; source the workspace that holds it'
    )
