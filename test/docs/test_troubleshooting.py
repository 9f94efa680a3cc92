"""Messages that the troubleshooting page quotes are those of the code."""

from __future__ import annotations

import ast
import re

from docs.documents import ROOT
import pytest

GAP = '\0'
REFUSES = re.compile(r'(\bObservationError|\b_refuse|drops\.add)$')
NOT_OURS = {'ros2: command not found'}


@pytest.fixture(scope='module')
def messages():
    """Return every text of the code, with a gap for each value."""
    found = set()
    for folder in ('sara_ros', 'scripts'):
        for path in (ROOT / folder).rglob('*.py'):
            tree = ast.parse(path.read_text(encoding='utf-8'))
            found |= {text for node in ast.walk(tree) if (text := text_of(node))}
    return sorted(found)


def text_of(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
        return ''.join(parts)
    return ''


def quoted(page):
    """Yield the messages in the columns that say what is seen: code with a blank in it."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
        for cell in cells[:-1]:
            for text in re.findall(r'`([^`]+)`', cell):
                if ' ' in text and not text.startswith(('sara-ros ', 'ros2 ', 'make ')):
                    yield text


def test_quoted_messages_are_in_the_code(pages, messages):
    found = [text for text in quoted(pages['troubleshooting.md']) if text not in NOT_OURS]
    assert len(found) > 30
    for text in found:
        pattern = re.compile('.*'.join(map(re.escape, text.split('...'))), re.DOTALL)
        assert any(pattern.search(message) for message in messages), text


def test_every_reason_for_a_drop_is_explained(pages):
    """Reasons are the first argument of what refuses an observation, or counts a drop."""
    reasons = set()
    for room in ('core', 'decoding', 'nodes', 'policies'):
        for path in (ROOT / 'sara_ros' / room).glob('*.py'):
            tree = ast.parse(path.read_text(encoding='utf-8'))
            calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
            reasons |= {
                call.args[0].value
                for call in calls
                if isinstance(call.args[0], ast.Constant)
                and re.search(
                    r'(\bObservationError|\b_refuse|drops\.add)$', ast.unparse(call.func)
                )
            }
    assert {'late', 'encoding', 'superseded', 'dtype'} <= reasons
    page = pages['troubleshooting.md']
    assert {reason for reason in reasons if f'`{reason}`' not in page} == set()
