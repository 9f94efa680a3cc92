"""Start the RT-2 variant: camera images and an instruction to end-effector actions."""

from sara_ros.launching import MODEL_MANAGER, POLICY, Stack

STACK = Stack((POLICY, MODEL_MANAGER), defaults={'model': 'rt2-tabletop'})


def generate_launch_description():
    """Return the nodes and their arguments."""
    return STACK.description()
