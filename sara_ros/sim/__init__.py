"""MuJoCo tabletop: scene, tasks, cameras and a scripted expert."""

import os

# Both are read when the libraries load: software OpenGL works on any machine, and drawing in
# the calling thread costs a fifth less CPU than Mesa's worker threads.
os.environ.setdefault('MUJOCO_GL', 'osmesa')
os.environ.setdefault('LP_NUM_THREADS', '0')
