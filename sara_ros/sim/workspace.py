"""Where the end-effector target may be, and how far ahead of the arm."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Final

import mink
import numpy as np

from sara_ros.sim import scene


@dataclass(frozen=True, slots=True)
class Workspace:
    """
    Limits of the end-effector target in ``base_link``.

    :param fingertip_clearance_m: least height of the fingertips above the table.
    :param fingertips_m: lowest corners of the open fingers in the frame of the end effector.
    :param max_tilt_rad: from the approach direction to straight down.
    :param max_lead_m: how far the target may be ahead of the arm.
    """

    low_m: tuple[float, float, float] = (0.26, -0.30, 0.0)
    high_m: tuple[float, float, float] = (0.68, 0.30, 0.36)
    fingertip_clearance_m: float = 0.004
    fingertips_m: tuple[tuple[float, float, float], ...] = tuple(
        (x, y, scene.TIP_BELOW_EE_M) for x in (-0.009, 0.009) for y in (-0.052, 0.052)
    )
    max_tilt_rad: float = 0.5
    max_lead_m: float = 0.06
    max_lead_rad: float = 0.4


WORKSPACE: Final = Workspace()


def unlimited(
    low_m: tuple[float, float, float] = (-math.inf,) * 3,
    high_m: tuple[float, float, float] = (math.inf,) * 3,
) -> Workspace:
    """Return a box without a table and without an upright tool, for an arm that is not ours."""
    return Workspace(low_m, high_m, fingertip_clearance_m=-math.inf, max_tilt_rad=math.pi)


def near(wanted: mink.SE3, measured: mink.SE3, limits: Workspace = WORKSPACE) -> mink.SE3:
    """Keep the target close to the arm, so that a blocked arm does not wind up."""
    lead = wanted.translation() - measured.translation()
    distance = float(np.linalg.norm(lead))
    turn = (wanted.rotation() @ measured.rotation().inverse()).log()
    angle = float(np.linalg.norm(turn))
    lead *= min(1.0, limits.max_lead_m / max(distance, 1e-9))
    turn *= min(1.0, limits.max_lead_rad / max(angle, 1e-9))
    return mink.SE3.from_rotation_and_translation(
        mink.SO3.exp(turn) @ measured.rotation(), measured.translation() + lead
    )


def within(pose: mink.SE3, limits: Workspace = WORKSPACE) -> mink.SE3:
    """Clamp a target to the workspace, upright enough and with the fingers above the table."""
    rotation = _upright(pose.rotation(), limits.max_tilt_rad)
    lowest = float((np.array(limits.fingertips_m) @ rotation.as_matrix().T)[:, 2].min())
    low = np.array(limits.low_m)
    low[2] = max(low[2], limits.fingertip_clearance_m - lowest)
    position = np.clip(pose.translation(), low, limits.high_m)
    return mink.SE3.from_rotation_and_translation(rotation, position)


def _upright(rotation: mink.SO3, max_tilt_rad: float) -> mink.SO3:
    approach = rotation.as_matrix()[:, 2]
    axis = np.cross(approach, [0.0, 0.0, -1.0])
    sine = float(np.linalg.norm(axis))
    excess = float(np.arctan2(sine, -approach[2])) - max_tilt_rad
    if excess <= 0 or sine < 1e-9:
        return rotation
    return mink.SO3.exp(axis / sine * excess) @ rotation
