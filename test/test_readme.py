"""The README says what the files it is made from say."""

from __future__ import annotations

from pathlib import Path
import re

import readme_tables

ROOT = Path(__file__).resolve().parents[1]


def test_tables_are_up_to_date() -> None:
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    assert readme_tables.render(text) == text, 'run scripts/readme_tables.py'


def test_links_lead_somewhere() -> None:
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    links = re.findall(r'\]\(([^)#:]+)\)', text) + re.findall(r'\]\(([^)#:]+)#', text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
