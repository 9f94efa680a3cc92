"""The machine is described without naming its owner."""

import getpass
import json
from pathlib import Path
import platform
import socket
import subprocess
import sys

import numpy as np

from sara_ros.evaluation.machine import describe_machine


def test_facts():
    """The facts a latency depends on are there and plausible."""
    machine = describe_machine()
    assert machine['cpu']
    assert machine['logical_cores'] >= 1
    assert 0.1 < machine['memory_gib'] < 1e5
    assert machine['python'] == platform.python_version()
    assert machine['numpy'] == np.__version__
    assert {'os', 'kernel', 'torch', 'mujoco', 'open3d', 'gpu'} <= set(machine)


def test_nothing_private():
    """Reports are shared."""
    values = {str(value) for value in describe_machine().values()}
    assert not values & {socket.gethostname(), getpass.getuser(), str(Path.home())}
    assert not any('/' in value and Path(value).exists() for value in values)


def test_nothing_heavy_is_imported():
    """Describing the machine must not cost the seconds that importing torch takes."""
    code = (
        'import json, sys; from sara_ros.evaluation.machine import describe_machine; '
        'describe_machine(); print(json.dumps(sorted(sys.modules)))'
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, check=True)
    modules = json.loads(result.stdout)
    assert 'sara_ros.evaluation.machine' in modules
    assert not {'torch', 'mujoco', 'open3d', 'rclpy', 'matplotlib', 'av'} & set(modules)
