"""Start the tabletop in Gazebo with a policy that moves its arm."""

from sara_ros.launching import MODEL_MANAGER, POLICY, TABLETOP_BOX, Stack
from sara_ros.launching.gazebo import ARM_DRIVER, GAZEBO, GAZEBO_SCENE

STACK = Stack(
    (GAZEBO, GAZEBO_SCENE, ARM_DRIVER, POLICY, MODEL_MANAGER),
    defaults={'workspace': TABLETOP_BOX, 'use_sim_time': 'true'},
)


def generate_launch_description():
    """Return Gazebo, its bridge, the controllers of its arm, and the nodes of this package."""
    return STACK.description()
