"""Start the MuJoCo tabletop with a policy that moves its arm."""

from sara_ros.launching import MODEL_MANAGER, POLICY, SIMULATOR, TABLETOP_BOX, Stack

STACK = Stack((SIMULATOR, POLICY, MODEL_MANAGER), defaults={'workspace': TABLETOP_BOX})


def generate_launch_description():
    """Return the nodes and their arguments."""
    return STACK.description()
