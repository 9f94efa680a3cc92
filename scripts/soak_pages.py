"""
Write docs/soak.md and docs/soak.png from docs/soak.json, and the cost table of docs/telemetry.md.

The table comes from docs/telemetry-cost.json, a list of two reports of ``sara-ros soak``, one of
them with ``--export``. With arguments, those two report.json files become that list first.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Any

from readme_tables import fill

from sara_ros.evaluation.files import write_json, write_text
from sara_ros.evaluation.soak_page import cost_table, write_pages

DOCS = Path(__file__).resolve().parents[1] / 'docs'
SOAK_FILE = 'soak.json'
COST_FILE = DOCS / 'telemetry-cost.json'
KEPT = ('schema', 'machine', 'model_id', 'duration_sec', 'exported', 'processes')


def main(arguments: list[str]) -> int:
    """Update the pages."""
    if arguments:
        reports = [_read(Path(path)) for path in arguments]
        write_json(COST_FILE, [{key: each[key] for key in KEPT} for each in reports])
    page = DOCS / 'telemetry.md'
    text = page.read_text(encoding='utf-8')
    write_text(page, fill(text, 'cost of the model manager', cost_table(_read(COST_FILE))))
    write_pages(_read(DOCS / SOAK_FILE), DOCS, SOAK_FILE)
    return 0


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding='utf-8'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
