"""Child processes: started, watched, stopped, never left behind."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from sara_ros.cli.children import ChildError, Children

PARENT = """
import sys, time
from pathlib import Path
from sara_ros.cli.children import Children
children = Children(Path(sys.argv[1]), {})
children.start('simulator')
print(children.pids['simulator'], flush=True)
time.sleep(60)
"""


def _gone(pid: int, timeout_sec: float = 15.0) -> bool:
    deadline = time.monotonic() + timeout_sec
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def _check_until(children: Children, timeout_sec: float) -> None:
    deadline = time.monotonic() + timeout_sec
    while time.monotonic() < deadline:
        children.check()
        time.sleep(0.05)


def test_dead_child_is_named_with_its_last_words(tmp_path: Path, ros_domain: int) -> None:
    with Children(tmp_path, {}) as children:
        children.start('player', {'recording': 'tape'})
        with pytest.raises(
            ChildError, match=r'player \(pid \d+\) ended with exit code 2'
        ) as ended:
            _check_until(children, 30)
    assert "'recording' is 'tape'; known: lerobot" in str(ended.value)
    assert 'Traceback' not in str(ended.value)


def test_leaving_the_group_stops_every_process(tmp_path: Path, ros_domain: int) -> None:
    with Children(tmp_path, {}) as children:
        children.start('model_manager')
        children.check()
        pid = children.pids['model_manager']
    assert _gone(pid, timeout_sec=0.5)
    assert children.pids == {'model_manager': pid}


def test_children_end_with_a_parent_that_was_killed(tmp_path: Path, ros_domain: int) -> None:
    parent = subprocess.Popen(
        [sys.executable, '-c', PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _gone(pid)
