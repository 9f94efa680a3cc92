"""The export survives what a disk does, and every reader reads what it wrote."""

import errno
import os
import subprocess
import sys

from evaluation.telemetry import TEXT, command, text_message
from mcap.reader import make_reader
import pytest
from rosbags.highlevel import AnyReader

from sara_ros.core.errors import ParameterError
from sara_ros.evaluation.command_log import CommandLog
from sara_ros.evaluation.exporter import Exporter, Output
from sara_ros.evaluation.growing_file import GrowingFile
from sara_ros.evaluation.mcap_log import McapLog
from sara_ros.evaluation.samples import read_csv


def texts(path):
    """Return what the messages of a file say, read by both readers."""
    with path.open('rb') as stream:
        seen = [message.data for _, _, message in make_reader(stream).iter_messages()]
    with AnyReader([path]) as reader:
        said = [reader.deserialize(data, c.msgtype).data for c, _, data in reader.messages()]
    assert seen == [text_message(each) for each in said]
    return said


@pytest.fixture
def full_disk(monkeypatch):
    """Return a switch: with ``free`` at a number, the disk takes so many more bytes."""

    class Disk:
        free = None

    real = os.pwrite

    def pwrite(file, data, offset):
        size = os.fstat(file).st_size
        if Disk.free is None:
            return real(file, data, offset)
        room = max(size - offset, 0) + Disk.free
        if room <= 0:
            raise OSError(errno.ENOSPC, 'No space left on device')
        written = real(file, bytes(data)[:room], offset)
        Disk.free -= max(offset + written - size, 0)
        return written

    monkeypatch.setattr(os, 'pwrite', pwrite)
    return Disk


def test_a_file_is_whole_after_every_commit(tmp_path):
    file = GrowingFile(tmp_path / 'deep' / 'file')
    file.commit(b'one ', b'a long tail')
    assert file.path.read_bytes() == b'one a long tail'
    file.commit(b'two', b'!')
    assert file.path.read_bytes() == b'one two!'
    file.close()
    with pytest.raises(FileExistsError):
        GrowingFile(file.path)


@pytest.mark.parametrize('free', [0, 1, 7, 30])
def test_a_commit_that_fails_leaves_the_file_as_it_was(tmp_path, full_disk, free):
    file = GrowingFile(tmp_path / 'file')
    file.commit(b'body ', b'tail')
    full_disk.free = free
    with pytest.raises(OSError, match='No space'):
        file.commit(b'x' * 20, b'y' * 20)
    assert file.path.read_bytes() == b'body tail'
    full_disk.free = None
    file.commit(b'more ', b'end')
    assert file.path.read_bytes() == b'body more end'
    file.close()


def test_an_mcap_file_can_be_read_after_every_flush(tmp_path):
    """Readers want the summary at the end; a killed recorder usually leaves none."""
    log = McapLog(tmp_path / 'log.mcap')
    expected = []
    for index in range(5):
        expected += [f'{index}-{each}' for each in range(3)]
        for each in expected[-3:]:
            log.add(TEXT, 10**18 + index, text_message(each))
        log.flush()
        assert texts(tmp_path / 'log.mcap') == expected
    log.close()


def test_an_mcap_file_tells_its_types(tmp_path):
    log = McapLog(tmp_path / 'log.mcap')
    log.add(TEXT, 1, text_message('a'))
    log.flush()
    with (tmp_path / 'log.mcap').open('rb') as stream:
        summary = make_reader(stream).get_summary()
    [schema], [channel] = summary.schemas.values(), summary.channels.values()
    assert (schema.name, schema.encoding) == ('std_msgs/msg/String', 'ros2msg')
    assert schema.data == b'string data\n'
    assert (channel.topic, channel.message_encoding) == ('/text', 'cdr')
    assert summary.statistics.message_count == 1
    log.close()


def test_an_mcap_file_on_a_full_disk_keeps_what_it_has_and_goes_on(tmp_path, full_disk):
    log = McapLog(tmp_path / 'log.mcap')
    path = tmp_path / 'log.mcap'
    log.add(TEXT, 1, text_message('before'))
    log.flush()
    for free in (0, 40, 200):
        full_disk.free = free
        log.add(TEXT, 2, os.urandom(2000))
        with pytest.raises(OSError, match='No space'):
            log.flush()
        assert texts(path) == ['before']
    full_disk.free = None
    log.add(TEXT, 3, text_message('after'))
    log.flush()
    with path.open('rb') as stream:
        assert len(list(make_reader(stream).iter_messages())) == 5
    log.close()


def test_a_line_for_each_command(tmp_path):
    log = CommandLog(tmp_path / 'commands.csv')
    log.add(command(0, warm_up=True))
    log.add(command(1))
    log.add(command(2, hold=True, observation_age_ms=None))
    log.add(command(3, later_step=True, observation_age_ms=80.0))
    log.add(command(4, warm_up=True, model='two, "too"'))
    log.flush()
    log.close()
    samples = read_csv(tmp_path / 'commands.csv')
    assert [each.sequence for each in samples] == [0, 1, 2, 3, 4]
    assert [each.episode for each in samples] == [1, 1, 1, 1, 2]
    assert [each.counted for each in samples] == [False, True, False, False, False]
    assert samples[1].time_sec == pytest.approx(0.05)
    assert samples[1].total_ms == pytest.approx(sum(samples[1].stages_ms.values()))
    assert samples[4].model_id == 'two, "too"'
    assert (
        (tmp_path / 'commands.csv').read_text().splitlines()[4].endswith(',1,80.0000,1000.150000')
    )


def test_a_full_disk_cuts_no_line(tmp_path, full_disk):
    log = CommandLog(tmp_path / 'commands.csv')
    log.add(command(0))
    log.flush()
    full_disk.free = 25
    log.add(command(1))
    with pytest.raises(OSError, match='No space'):
        log.flush()
    assert [each.sequence for each in read_csv(tmp_path / 'commands.csv')] == [0]
    full_disk.free = None
    log.flush()
    assert [each.sequence for each in read_csv(tmp_path / 'commands.csv')] == [0, 1]
    log.close()


def test_what_no_disk_takes_is_held_then_lost_and_counted(monkeypatch):
    monkeypatch.setattr('sara_ros.evaluation.exporter.MOST_WAITING', 10)

    def no_disk(index):
        raise OSError(errno.ENOSPC, 'No space left on device')

    output = Output(no_disk)
    for index in range(25):
        output.put(index)
    output.flush()
    counts = output.counts
    assert (counts.written, counts.held, counts.lost, counts.failures) == (0, 10, 15, 1)
    assert 'No space left' in counts.error


def test_an_export_recovers_once_there_is_space(tmp_path, full_disk):
    exporter = Exporter(tmp_path / 's', ('csv', 'mcap'), {}, flush_sec=0.01)
    full_disk.free = 0
    exporter.command(command(0))
    exporter.message(TEXT, 1, text_message('a'))
    wait(lambda: all(each.failures > 1 for each in exporter.counts.values()))
    assert {each.held for each in exporter.counts.values()} == {1}
    full_disk.free = None
    wait(lambda: all(each.written == 1 for each in exporter.counts.values()))
    assert {each.error for each in exporter.counts.values()} == {''}
    exporter.close()
    assert texts(tmp_path / 's' / 'telemetry_0.mcap') == ['a']
    assert len(read_csv(tmp_path / 's' / 'commands.csv')) == 1


def test_an_export_that_runs_long_begins_another_file(tmp_path, monkeypatch):
    monkeypatch.setattr('sara_ros.evaluation.exporter.MOST_FLUSHES', 2)
    exporter = Exporter(tmp_path, ('mcap',), {}, flush_sec=0.01)
    for index in range(5):
        exporter.message(TEXT, index, text_message(str(index)))
        wait(lambda count=index + 1: exporter.counts['mcap'].written == count)
    exporter.close()
    files = sorted(tmp_path.glob('telemetry_*.mcap'))
    assert [texts(each) for each in files] == [['0', '1'], ['2', '3'], ['4']]


def test_unknown_formats_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="'xls' is not known; use csv and mcap"):
        Exporter(tmp_path, ('csv', 'xls'), {})


KILLED = """
import os, signal, sys, time
from pathlib import Path
from evaluation.telemetry import TEXT, command, text_message
from sara_ros.evaluation.exporter import Exporter
exporter = Exporter(Path(sys.argv[1]), ('csv', 'mcap'), {}, flush_sec=0.02)
for index in range(50):
    exporter.command(command(index))
    exporter.message(TEXT, index, text_message(str(index)))
while any(each.held for each in exporter.counts.values()):
    time.sleep(0.01)
exporter.command(command(50))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_loses_nothing_that_was_flushed(tmp_path):
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(
        [sys.executable, '-c', KILLED, str(tmp_path / 's')], env={**os.environ, 'PYTHONPATH': path}
    )
    assert done.returncode == -9
    assert texts(tmp_path / 's' / 'telemetry_0.mcap') == [str(index) for index in range(50)]
    assert [each.sequence for each in read_csv(tmp_path / 's' / 'commands.csv')] == list(range(50))


def wait(condition):
    """Wait until ``condition`` holds."""
    import time

    deadline = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline, 'nothing happened'
        time.sleep(0.005)
