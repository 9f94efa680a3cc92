"""Play a bag in real time to a policy, as it was recorded."""

from sara_ros.launching import BAG_PLAYER, MODEL_MANAGER, POLICY, Stack

STACK = Stack((BAG_PLAYER, POLICY, MODEL_MANAGER))


def generate_launch_description():
    """Return the nodes and their arguments."""
    return STACK.description()
