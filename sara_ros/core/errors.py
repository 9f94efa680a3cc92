"""One class per family of errors; each message names the value, the place and what to change."""


class SaraError(Exception):
    """Base of every error this package raises on purpose."""


class SpecError(SaraError):
    """A policy specification is incomplete or contradicts itself."""


class CheckpointError(SaraError):
    """A model folder cannot be read, or is not what it claims to be."""


class ParameterError(SaraError):
    """A parameter or option has a value that cannot be used."""


class ActionError(SaraError):
    """A policy returned an action that must not reach the robot."""


class ObservationError(SaraError):
    """
    A sensor message cannot become an observation.

    ``reason`` is the short name under which the dropped message is counted.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Keep the counting name beside the message for people."""
        super().__init__(message)
        self.reason = reason
