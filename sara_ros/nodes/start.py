"""
Entry points of the nodes.

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
from typing import Final

END_WITH_PARENT: Final = 'SARA_ROS_END_WITH_PARENT'
_PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """Have the kernel end this process when its parent is killed and could not stop it."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def policy() -> int:
    """Run the policy node."""
    return _run('policy')


def model_manager() -> int:
    """Run the model manager."""
    return _run('model_manager')


def simulator() -> int:
    """Run the simulator."""
    return _run('simulator')


def player() -> int:
    """Run the player of recordings."""
    return _run('player')


def bag_player() -> int:
    """Run the bag player."""
    return _run('bag_player')


def arm_driver() -> int:
    """Run the arm driver."""
    return _run('arm_driver')


def joint_driver() -> int:
    """Run the joint driver."""
    return _run('joint_driver')


def twist_repeater() -> int:
    """Run the twist repeater."""
    return _run('twist_repeater')


def gripper() -> int:
    """Run the gripper."""
    return _run('gripper')


def gazebo_scene() -> int:
    """Run the Gazebo scene."""
    return _run('gazebo_scene')


def _run(name: str) -> int:
    if os.environ.get(END_WITH_PARENT):
        end_with_parent()
    # Nothing is there yet that would have to be closed.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    return int(import_module(f'sara_ros.nodes.{name}').main())
