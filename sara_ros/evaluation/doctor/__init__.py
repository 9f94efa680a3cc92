"""
Checks of a machine, each a small function that returns what it found and what to do about it.

Nothing here imports rclpy or torch at import, because either may be what is broken.
"""
