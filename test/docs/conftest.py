"""The pages of the documentation, as text and as a built site."""

from __future__ import annotations

import subprocess
import sys

from docs.documents import DOCS
import pytest


@pytest.fixture(scope='session')
def pages():
    """Return the source of every page by its path below ``docs``."""
    return {
        str(path.relative_to(DOCS)): path.read_text(encoding='utf-8')
        for path in sorted(DOCS.rglob('*.md'))
    }


@pytest.fixture(scope='session')
def site(tmp_path_factory):
    """Build the site as ``make docs`` does, and return its folder."""
    pytest.importorskip('sphinx', reason='make env installs it')
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-b', 'html']
    built = subprocess.run(
        [*command, str(DOCS), str(folder)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder
