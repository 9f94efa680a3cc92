"""Starting a node as its console script does."""

import os
import signal
import subprocess
import sys

from nodes.host import until
import pytest

pytest.importorskip('rclpy')

SLOW_IMPORT = """
import os, sys, time
class Slow:
    @staticmethod
    def find_spec(module, path=None, target=None):
        if module == 'sara_ros.nodes.{name}':
            print(os.getpid(), flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow)
from sara_ros.nodes.start import {name}
sys.exit({name}())
"""


AT_WORK = """
import sys, threading, time, types
import torch
from sara_ros.nodes import start

def work():
    while True:
        torch.ones(1)

def main():
    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
    print('last words')
    return 3

sys.modules['sara_ros.nodes.policy'] = types.SimpleNamespace(main=main)
start.policy()
"""


def start(code, **environment):
    """Return a process that runs ``code``."""
    return subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize('name', ['policy', 'model_manager', 'simulator', 'bag_player'])
def test_ctrl_c_during_the_imports_says_nothing(name):
    """It used to show a KeyboardInterrupt from within torch."""
    process = start(SLOW_IMPORT.format(name=name))
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=20)
    assert (process.returncode, said, errors) == (0, '', '')


def test_a_thread_at_work_in_a_library_does_not_abort_the_end():
    """The model manager ended with SIGABRT when Ctrl-C came while it verified a model."""
    process = start(AT_WORK)
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, said, errors) == (3, 'last words\n', '')


def test_a_node_does_not_outlive_a_killed_launch():
    code = f'import subprocess, sys; subprocess.run([sys.executable, "-c", {SLOW_IMPORT!r}])'
    parent = start(code.format(name='policy'), SARA_ROS_END_WITH_PARENT='1')
    node = int(parent.stdout.readline())
    parent.kill()
    parent.communicate(timeout=20)
    until(lambda: not os.path.exists(f'/proc/{node}/cmdline') or not _runs(node), 'its end')


def _runs(pid):
    """Tell whether a process is more than the entry that nobody has asked about yet."""
    with open(f'/proc/{pid}/stat') as file:
        return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
