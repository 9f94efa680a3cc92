"""Start the PCT variant: point clouds and an instruction to end-effector actions."""

from sara_ros.launching import MODEL_MANAGER, POLICY, Stack

STACK = Stack((POLICY, MODEL_MANAGER), defaults={'model': 'pct-tabletop'})


def generate_launch_description():
    """Return the nodes and their arguments."""
    return STACK.description()
