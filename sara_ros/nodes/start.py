"""
Entry points of the nodes, and how their processes end.

Importing a node takes seconds. Ctrl-C within them ends the process as quietly as it does later.
With ``SARA_ROS_END_WITH_PARENT`` in the environment a node does not outlive whoever started it:
left alone, it would go on commanding the arm beside the one that is started next.
"""

from __future__ import annotations

import ctypes
from importlib import import_module
import os
import signal
import sys
from typing import Final, NoReturn

END_WITH_PARENT: Final = 'SARA_ROS_END_WITH_PARENT'
_PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """Have the kernel end this process when its parent is killed and could not stop it."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def policy() -> NoReturn:
    """Run the policy node."""
    _run('policy')


def model_manager() -> NoReturn:
    """Run the model manager."""
    _run('model_manager')


def simulator() -> NoReturn:
    """Run the simulator."""
    _run('simulator')


def player() -> NoReturn:
    """Run the player of recordings."""
    _run('player')


def bag_player() -> NoReturn:
    """Run the bag player."""
    _run('bag_player')


def arm_driver() -> NoReturn:
    """Run the arm driver."""
    _run('arm_driver')


def joint_driver() -> NoReturn:
    """Run the joint driver."""
    _run('joint_driver')


def twist_repeater() -> NoReturn:
    """Run the twist repeater."""
    _run('twist_repeater')


def gripper() -> NoReturn:
    """Run the gripper."""
    _run('gripper')


def gazebo_scene() -> NoReturn:
    """Run the Gazebo scene."""
    _run('gazebo_scene')


def end(code: int) -> NoReturn:
    """
    End this process, whose node is closed, with ``code``.

    The interpreter is not taken down first: a thread that is still at work in a library, such as
    one that verifies a model, would abort it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(name: str) -> NoReturn:
    if os.environ.get(END_WITH_PARENT):
        end_with_parent()
    # Nothing is there yet that would have to be closed.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    end(import_module(f'sara_ros.nodes.{name}').main())
