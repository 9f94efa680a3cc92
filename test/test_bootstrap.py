"""The helpers of scripts/bootstrap.py, on small made-up files."""

from __future__ import annotations

import os
from pathlib import Path
import re
import subprocess
import sys
import time

import pytest

from environment import console, os_libraries, prerequisites
from environment.errors import BootstrapError
from environment.ros_wheels import rewrite_exports
from environment.stamps import Stamp, fingerprint

ROOT = Path(__file__).resolve().parents[1]
EXPORT = (
    'INTERFACE_INCLUDE_DIRECTORIES "{0}/include/python3.11;'
    '{0}/lib/python3.11/site-packages/numpy/_core/include;${{_IMPORT_PREFIX}}/include"\n'
).format('/opt/python/cp311-cp311')


@pytest.fixture
def log_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(console, 'LOGS', tmp_path / 'log')
    return tmp_path / 'log'


def test_exports_are_rewritten_once(tmp_path):
    path = tmp_path / 'demoExport.cmake'
    path.write_text(EXPORT)
    assert rewrite_exports([path], '/py/include', '/np/include') == 1
    expected = (
        'INTERFACE_INCLUDE_DIRECTORIES "/py/include;/np/include;${_IMPORT_PREFIX}/include"\n'
    )
    assert path.read_text() == expected
    assert rewrite_exports([path], '/py/include', '/np/include') == 0


def test_fingerprint_follows_names_and_contents(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('1')
    first = fingerprint([tmp_path])
    assert fingerprint([tmp_path]) == first
    (tmp_path / 'cache.pyc').write_text('x')
    assert fingerprint([tmp_path]) == first
    assert fingerprint([tmp_path], 'extra') != first
    path.write_text('2')
    second = fingerprint([tmp_path])
    path.rename(tmp_path / 'b.txt')
    assert len({first, second, fingerprint([tmp_path])}) == 3


def test_fingerprint_ignores_missing_files(tmp_path):
    assert fingerprint([tmp_path / 'none']) == fingerprint([])


def test_stamp_remembers_and_forgets(tmp_path):
    stamp = Stamp(tmp_path / 'stamps' / 'step')
    assert not stamp.matches('a')
    stamp.write('a')
    assert stamp.matches('a')
    assert not stamp.matches('b')
    stamp.clear()
    stamp.clear()
    assert not stamp.matches('a')


def test_failure_shows_the_log(log_folder):
    code = "print('the reason'); raise SystemExit(3)"
    with pytest.raises(BootstrapError, match=r'the reason(.|\n)*status 3(.|\n)*demo\.log'):
        console.run([sys.executable, '-c', code], 'demo')
    assert 'the reason' in (log_folder / 'demo.log').read_text()


def test_interruption_ends_the_whole_command(log_folder, monkeypatch):
    """A Ctrl-C that left pip or cmake running in the background would race the next run."""
    log = log_folder / 'demo.log'

    def interrupt(*args, **kwargs):
        while not re.search(r'^child=\d+$', log.read_text(), re.M):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(console, '_watch', interrupt)
    with pytest.raises(KeyboardInterrupt):
        console.run(['sh', '-c', 'sleep 60 & echo child=$!; wait'], 'demo')
    child = int(re.search(r'^child=(\d+)$', log.read_text(), re.M)[1])
    deadline = time.monotonic() + 5.0
    while is_running(child):
        assert time.monotonic() < deadline, f'process {child} was left behind'
        time.sleep(0.01)


def is_running(pid):
    try:
        return ') Z ' not in Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_foreign_ros_is_kept_out(monkeypatch):
    monkeypatch.setenv('PYTHONPATH', '/elsewhere')
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/elsewhere')
    cleaned = console.clean_environment(EXTRA='1')
    assert not {'PYTHONPATH', 'AMENT_PREFIX_PATH'} & set(cleaned)
    assert cleaned['EXTRA'] == '1'


def test_missing_tools_are_all_named(monkeypatch):
    monkeypatch.setattr('shutil.which', lambda name: None)
    with pytest.raises(BootstrapError) as caught:
        prerequisites.check()
    for word in ('C++ compiler', 'apt-get install --yes g++', 'install --yes cmake'):
        assert word in str(caught.value)


def test_missing_libraries_are_found(monkeypatch):
    monkeypatch.setattr(os_libraries, 'LIBRARIES', {'libnone-such.so.9': 'none-such9'})
    monkeypatch.setattr(os_libraries, 'missing_parts', lambda: ['python3.11-dev'])
    assert os_libraries.missing_packages() == ['python3.11-dev', 'none-such9']


def test_without_root_the_command_is_named(monkeypatch):
    monkeypatch.setattr(os, 'geteuid', lambda: 1000)
    with pytest.raises(BootstrapError, match='sudo apt-get install --yes libosmesa6'):
        os_libraries.provide(['libosmesa6'])


def test_little_shared_memory_is_said(monkeypatch):
    usage = type('Usage', (), {'free': 64 * 2**20})
    monkeypatch.setattr('shutil.disk_usage', lambda path: usage)
    assert '64 MiB free' in os_libraries.shared_memory_warning()


@pytest.mark.skipif(Path(sys.prefix) != ROOT / '.venv', reason='needs the interpreter of .venv')
def test_process_of_another_environment_can_start_ours():
    """The guard variable of another environment's ROS wheels once hid our libraries."""
    env = {'PATH': os.environ['PATH'], '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1'}
    code = (
        'import os; from sara_ros_msgs.msg import ModelInfo; '
        'ModelInfo.__class__.__import_type_support__(); '
        'print(ModelInfo.__class__._TYPE_SUPPORT is not None, '
        'os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], env=env, cwd='/', capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ['True', str(ROOT / 'config' / 'fastdds.xml')]
