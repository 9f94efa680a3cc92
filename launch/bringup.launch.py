"""Start a policy and the model manager on a robot."""

from sara_ros.launching import MODEL_MANAGER, POLICY, Stack

STACK = Stack((POLICY, MODEL_MANAGER))


def generate_launch_description():
    """Return the nodes and their arguments."""
    return STACK.description()
