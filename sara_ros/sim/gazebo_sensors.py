"""The tabletop's cameras as Gazebo sensors."""

from __future__ import annotations

import math
from typing import Final
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from sara_ros.sim.cameras import DEPTH_RANGE_M
from sara_ros.sim.gazebo_shapes import camera_matrix, rpy, text
from sara_ros.sim.scene import CameraView

RATE_HZ: Final = 20
NEAR_M: Final = 0.02
FAR_M: Final = 8.0


def camera_sensor(
    view: CameraView,
    *,
    width: int,
    height: int,
    prefix: str = '',
    depth: bool = False,
    posed: bool = False,
) -> Element:
    """
    Return the SDF of a camera.

    Pictures go to ``<prefix>image_raw`` and ``<prefix>camera_info``. With ``depth`` it is a
    camera with depth, whose coloured cloud goes to ``<prefix>points``; the axes of the cloud are
    those of the camera's frame, x forward.

    :param posed: place it in the frame of its body; else it has the pose of its link.
    """
    name = f'{view.name}_depth' if depth else f'{view.name}_camera'
    kind = 'rgbd_camera' if depth else 'camera'
    sensor = Element('sensor', {'name': name, 'type': kind})
    if posed:
        place = np.concatenate([view.position, rpy(camera_matrix(view))])
        SubElement(sensor, 'pose').text = text(place)
    SubElement(sensor, 'topic').text = prefix.rstrip('/') if depth else f'{prefix}image_raw'
    SubElement(sensor, 'update_rate').text = str(RATE_HZ)
    SubElement(sensor, 'always_on').text = '1'
    SubElement(sensor, 'visualize').text = 'false'
    camera = SubElement(sensor, 'camera', {'name': name})
    if not depth:
        SubElement(camera, 'camera_info_topic').text = f'{prefix}camera_info'
    # Whatever Gazebo calls it, the cloud it makes has the axes of the camera, x forward.
    frame = f'{view.name}_camera_frame' if depth else view.frame
    SubElement(camera, 'optical_frame_id').text = frame
    across = 2 * math.atan(math.tan(math.radians(view.fovy_deg) / 2) * width / height)
    SubElement(camera, 'horizontal_fov').text = text((across,))
    image = SubElement(camera, 'image')
    SubElement(image, 'width').text = str(width)
    SubElement(image, 'height').text = str(height)
    SubElement(image, 'format').text = 'R8G8B8'
    clip = SubElement(camera, 'clip')
    SubElement(clip, 'near').text = text((NEAR_M,))
    SubElement(clip, 'far').text = text((DEPTH_RANGE_M if depth else FAR_M,))
    return sensor
