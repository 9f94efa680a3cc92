"""What the generated pages are made of."""

from __future__ import annotations

import pytest
from reference import fill
from reference.interfaces import read
from reference.launch_files import arguments, launch_files, paths
from reference.parameters import SHOWN, nodes
from reference.tables import table


def test_bars_do_not_break_a_table():
    assert table(('a',), [('x | y',)]).splitlines()[-1] == '| x \\| y |'


def test_definitions_are_read_whole(tmp_path):
    path = tmp_path / 'Do.srv'
    path.write_text(
        '# Does it.\n#\n# In two paragraphs.\nstring what  # What, in words\n'
        "             # and more\n---\nbool success\nstring OK='ok'  # Fine\n"
    )
    found = read(path)
    assert (found.name, found.about) == ('Do', 'Does it.\n\nIn two paragraphs.')
    request, response = found.parts
    assert [(field.name, field.about) for field in request] == [
        ('what', 'What, in words and more')
    ]
    assert [(field.name, field.value) for field in response] == [('success', ''), ('OK', "'ok'")]


def test_every_launch_file_is_described():
    text = launch_files()
    for path in paths():
        assert f'`{path.name}`' in text
        assert all(f'`{each.name}`' in text for each in arguments(path))
    assert '| `model` | `pct-tabletop` |' in text


def test_every_node_is_on_the_page(pages):
    """What is not shown by itself comes with the marker for the others."""
    page = pages['reference/nodes.md']
    assert set(SHOWN) <= set(nodes())
    assert all(f'<!-- generated parameters {name} -->' in page for name in SHOWN)
    assert '<!-- generated others -->' in page


def test_a_marker_that_nothing_fills_is_an_error():
    """A page must not be published with a hole in it."""
    with pytest.raises(KeyError):
        fill('<!-- generated nonsense -->')


def test_text_without_markers_stays_as_it_is():
    assert fill('# Title\n\nText.') == '# Title\n\nText.'
