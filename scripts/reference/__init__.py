"""
Pages of the reference made from code: a Sphinx extension that fills in marked places.

``<!-- generated NAME ARGUMENT ... -->`` on a line of its own becomes the Markdown that
``GENERATORS[NAME]`` returns for the arguments. Nothing generated is kept in the repository.
"""

from __future__ import annotations

from collections.abc import Callable
import logging
import os
import re
from typing import TYPE_CHECKING, Any, Final

from reference.backends import backends
from reference.commands import commands
from reference.example import policy_json
from reference.graph import endpoints
from reference.interfaces import interfaces
from reference.launch_files import launch_files
from reference.parameters import others, parameters
from reference.protocol import ranges, rules, seeds, sentences, suites
from reference.results import models, recordings, success

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARKER: Final = re.compile(r'^<!-- generated (\w+) ?([^>]*?) -->$', re.MULTILINE)
GENERATORS: Final[dict[str, Callable[..., str]]] = {
    'backends': backends,
    'commands': commands,
    'endpoints': endpoints,
    'interfaces': interfaces,
    'launch': launch_files,
    'models': models,
    'others': others,
    'parameters': parameters,
    'policy_json': policy_json,
    'ranges': ranges,
    'recordings': recordings,
    'rules': rules,
    'seeds': seeds,
    'sentences': sentences,
    'success': success,
    'suites': suites,
}


def fill(text: str) -> str:
    """
    Return ``text`` with every marker replaced.

    :raises KeyError: for a marker that nothing generates.
    """
    return MARKER.sub(lambda match: GENERATORS[match[1]](*match[2].split()), text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Fill in each page before Sphinx parses it."""
    # Before anything imports mujoco: no display is needed.
    os.environ.setdefault('MUJOCO_GL', 'osmesa')
    logging.getLogger('OpenGL').setLevel(logging.WARNING)
    app.connect('source-read', lambda _app, _page, source: _fill_in(source))
    return {'parallel_read_safe': True}


def _fill_in(source: list[str]) -> None:
    source[0] = fill(source[0])
