"""The ``policy.json`` that the example of the documentation writes."""

from __future__ import annotations

from contextlib import redirect_stdout
import io
import json
from pathlib import Path
import re
import runpy
import sys
from tempfile import TemporaryDirectory
from typing import Final
from unittest import mock

SCRIPT: Final = Path(__file__).resolve().parents[2] / 'docs' / 'examples' / 'export_model.py'


def policy_json() -> str:
    """Run the example and return what it wrote, as a block of code."""
    with TemporaryDirectory() as folder:
        export(Path(folder))
        written = next(Path(folder).glob('*/policy.json')).read_text(encoding='utf-8')
    return f'```json\n{_narrow(written)}\n```'


def export(models_dir: Path) -> str:
    """Run the example into ``models_dir`` and return what it printed."""
    printed = io.StringIO()
    with mock.patch.object(sys, 'argv', [str(SCRIPT), str(models_dir)]), redirect_stdout(printed):
        runpy.run_path(str(SCRIPT), run_name='__main__')
    return printed.getvalue()


def _narrow(text: str) -> str:
    """Return JSON with the innermost lists and objects on one line each."""
    indented = json.dumps(json.loads(text), indent=2)
    return re.sub(
        r'[\[{][^\[\]{}]*[\]}]',
        lambda match: match[0] if len(joined := _joined(match[0])) > 90 else joined,
        indented,
    )


def _joined(text: str) -> str:
    return re.sub(r'\s*\n\s*', ' ', text).replace('[ ', '[').replace(' ]', ']')
