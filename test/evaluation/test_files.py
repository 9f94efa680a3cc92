"""Files appear complete or not at all."""

import json

import pytest

from sara_ros.evaluation.files import replacing, write_json, write_text


def test_text_replaces_what_was_there(tmp_path):
    """Only the new content is left, and no temporary file."""
    path = tmp_path / 'new folder' / 'a.txt'
    write_text(path, 'before')
    write_text(path, 'äfter')
    assert path.read_text(encoding='utf-8') == 'äfter'
    assert [file.name for file in path.parent.iterdir()] == ['a.txt']


def test_error_keeps_the_old_file(tmp_path):
    """A run that fails halfway destroys nothing and leaves nothing."""
    path = tmp_path / 'a.txt'
    path.write_text('before')

    def fail():
        with replacing(path) as partial:
            partial.write_text('half')
            raise RuntimeError('disk full')

    with pytest.raises(RuntimeError, match='disk full'):
        fail()
    assert path.read_text() == 'before'
    assert list(tmp_path.iterdir()) == [path]


def test_final_name_is_absent_until_the_end(tmp_path):
    """A reader never sees half a file."""
    path = tmp_path / 'a.bin'
    with replacing(path) as partial:
        partial.write_bytes(b'1')
        assert not path.exists()
        assert partial.suffix == '.bin'
    assert path.read_bytes() == b'1'


def test_json_has_no_nan(tmp_path):
    """NaN is not JSON; browsers and jq refuse it."""
    path = tmp_path / 'a.json'
    write_json(path, {'a': float('nan'), 'b': [float('inf'), 1.5], 'c': ('x', None)})
    assert json.loads(path.read_text()) == {'a': None, 'b': [None, 1.5], 'c': ['x', None]}
