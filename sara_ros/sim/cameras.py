"""Cameras of the tabletop: colour, depth and object masks, and where each camera is."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final
import weakref

import mujoco
import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError
from sara_ros.sim.points import Float32Array, Intrinsics
from sara_ros.sim.scene import GRIPPER_BODIES, OBJECTS
from sara_ros.sim.state import Pose

BUFFER_SIZE: Final = (480, 640)
"""Rows and columns of the offscreen buffer, and so of the largest image."""

DEPTH_RANGE_M: Final = 2.0
"""What lies farther away has infinite depth."""

GRIPPER_MASK: Final = len(OBJECTS) + 1
"""Mask value of palm and fingers; objects have theirs from ``OBJECTS``, the rest is 0."""

_OPTICAL_FROM_GL: Final = np.diag([1.0, -1.0, -1.0])


class CameraRig:
    """
    Renders any camera of a model at any size up to the model's offscreen buffer (``BUFFER_SIZE``).

    Other worlds of the same scene may be drawn too: how it looks is taken from each one's model.
    Use it as a context manager, and only in the thread that made it: OpenGL is bound to both.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        """Create the OpenGL context and upload the model."""
        self._model = model
        # MuJoCo draws into its own offscreen buffer; the window behind it can be tiny.
        self._gl = mujoco.GLContext(16, 16)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        # Freed at exit at the latest, while OpenGL can still be called.
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 16)
        self._option = mujoco.MjvOption()
        self._mask_of_geom = _mask_table(model)

    def __enter__(self) -> CameraRig:
        """Return the rig."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the rig."""
        self.close()

    def close(self) -> None:
        """Free the OpenGL context; the rig cannot render any more."""
        self._free()

    def intrinsics(self, camera: str, height: int, width: int) -> Intrinsics:
        """Return the pinhole parameters of ``camera`` for an image of this size."""
        fovy = float(self._model.cam_fovy[self._id(camera)])
        return Intrinsics.from_fovy(fovy, height, width)

    def pose(self, data: mujoco.MjData, camera: str) -> Pose:
        """Return the pose of the camera's optical frame in ``base_link``."""
        index = self._id(camera)
        matrix = data.cam_xmat[index].reshape(3, 3) @ _OPTICAL_FROM_GL
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, matrix.reshape(9))
        return Pose(np.array(data.cam_xpos[index]), np.roll(quaternion, -1))

    def rgb(self, data: mujoco.MjData, camera: str, height: int, width: int) -> NDArray[np.uint8]:
        """Render colour, shape ``(height, width, 3)``."""
        rect = self._draw(data, camera, height, width)
        pixels = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, rect, self._context)
        return np.ascontiguousarray(pixels[::-1])

    def rgb_depth(
        self, data: mujoco.MjData, camera: str, height: int, width: int
    ) -> tuple[NDArray[np.uint8], Float32Array]:
        """Render colour ``(height, width, 3)`` and depth ``(height, width)`` in m in one pass."""
        rect = self._draw(data, camera, height, width)
        pixels = np.empty((height, width, 3), np.uint8)
        buffer = np.empty((height, width), np.float32)
        mujoco.mjr_readPixels(pixels, buffer, rect, self._context)
        return np.ascontiguousarray(pixels[::-1]), self._metres(buffer[::-1])

    def mask(self, data: mujoco.MjData, camera: str, height: int, width: int) -> NDArray[np.uint8]:
        """
        Render which object each pixel shows, shape ``(height, width)``.

        Values are the object's index in ``scene.OBJECTS`` plus one, ``GRIPPER_MASK``, or 0.
        """
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        try:
            rect = self._draw(data, camera, height, width)
        finally:
            flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        pixels = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, rect, self._context)
        # The scene holds fewer than 255 geoms, so the identifier's low byte is all of it.
        table = np.zeros(256, np.uint8)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.segid >= 0:
                table[geom.segid + 1] = self._mask_of_geom[geom.objid]
        return np.ascontiguousarray(table[pixels[::-1, :, 0]])

    def _draw(self, data: mujoco.MjData, camera: str, height: int, width: int) -> mujoco.MjrRect:
        if not self._free.alive:
            raise RuntimeError('this CameraRig is closed')
        limit = self._model.vis.global_
        if not (0 < height <= limit.offheight and 0 < width <= limit.offwidth):
            raise ParameterError(
                f'camera size {width}x{height} is not within 1x1 to '
                f'{limit.offwidth}x{limit.offheight}'
            )
        view = mujoco.MjvCamera()
        view.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
        view.fixedcamid = self._id(camera)
        self._gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(data.model, data, self._option, None, view, everything, self._scene)
        rect = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(rect, self._scene, self._context)
        return rect

    def _metres(self, buffer: Float32Array) -> Float32Array:
        extent = float(self._model.stat.extent)
        near = float(self._model.vis.map.znear) * extent
        far = float(self._model.vis.map.zfar) * extent
        depth = np.float32(far * near) / (np.float32(near) + buffer * np.float32(far - near))
        return np.asarray(np.where(depth < DEPTH_RANGE_M, depth, np.inf), np.float32)

    def _id(self, camera: str) -> int:
        index = int(mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, camera))
        if index < 0:
            known = ', '.join(self._model.camera(i).name for i in range(self._model.ncam))
            raise ParameterError(f"no camera '{camera}'; the scene has {known}")
        return index


def _free(gl: Any, context: mujoco.MjrContext) -> None:
    gl.make_current()
    context.free()
    gl.free()


def _mask_table(model: mujoco.MjModel) -> NDArray[np.uint8]:
    values = {model.body(name).id: index + 1 for index, name in enumerate(OBJECTS)}
    values.update((model.body(name).id, GRIPPER_MASK) for name in GRIPPER_BODIES)
    return np.array([values.get(int(body), 0) for body in model.geom_bodyid], np.uint8)
