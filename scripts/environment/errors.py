"""What stops a bootstrap."""


class BootstrapError(Exception):
    """A step failed; the message says what to do about it."""
