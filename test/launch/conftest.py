"""What runs a launch file as ``ros2 launch`` does."""

from contextlib import suppress
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest

LAUNCH = Path(__file__).parents[2] / 'launch'
CODE = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
path, *arguments = sys.argv[1:]
pairs = [each.split(':=', 1) for each in arguments]
service = LaunchService(argv=arguments)
included = IncludeLaunchDescription(path, launch_arguments=pairs)
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""


@pytest.fixture
def run_launch():
    """Return a function that runs what ``ros2 launch sara_ros NAME ARGUMENTS`` runs."""
    running = []

    def run(name, *arguments):
        command = [sys.executable, '-c', CODE, str(LAUNCH / name), *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        running.append(process)
        return process

    yield run
    for process in running:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
