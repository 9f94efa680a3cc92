"""Files appear complete or not at all."""

import pytest

from sara_ros.core.files import replacing


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
