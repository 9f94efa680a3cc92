"""Files appear complete or not at all."""

import json

from sara_ros.evaluation.files import write_json, write_text


def test_text_replaces_what_was_there(tmp_path):
    """Only the new content is left, and no temporary file."""
    path = tmp_path / 'new folder' / 'a.txt'
    write_text(path, 'before')
    write_text(path, 'äfter')
    assert path.read_text(encoding='utf-8') == 'äfter'
    assert [file.name for file in path.parent.iterdir()] == ['a.txt']


def test_json_has_no_nan(tmp_path):
    """NaN is not JSON; browsers and jq refuse it."""
    path = tmp_path / 'a.json'
    write_json(path, {'a': float('nan'), 'b': [float('inf'), 1.5], 'c': ('x', None)})
    assert json.loads(path.read_text()) == {'a': None, 'b': [None, 1.5], 'c': ['x', None]}
