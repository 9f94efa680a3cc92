"""
What the launch files share, so that each of them reads as a list.

``launch`` is imported when a description is asked for: the lists can be read without it.
"""

from typing import Final

from sara_ros.launching.arguments import USUAL, Argument
from sara_ros.launching.programs import BAG_PLAYER, MODEL_MANAGER, POLICY, SIMULATOR, Program
from sara_ros.launching.stack import Stack

TABLETOP_BOX: Final = '0.22 -0.34 -0.04 0.72 0.34 0.40'
"""Workspace for the simulated arm: what it can reach and 4 cm more (m)."""

__all__ = [
    'BAG_PLAYER',
    'MODEL_MANAGER',
    'POLICY',
    'SIMULATOR',
    'TABLETOP_BOX',
    'USUAL',
    'Argument',
    'Program',
    'Stack',
]
