"""One class per family of errors; each message names the value, the place and what to change."""

from pathlib import Path
import traceback


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


def describe(err: BaseException) -> str:
    """Return an error in one line: our own as it is, any other with its kind and place."""
    text = ' '.join(str(err).replace('^', '').split())
    if isinstance(err, SaraError):
        return text
    frames = traceback.extract_tb(err.__traceback__)
    place = f' ({Path(frames[-1].filename).name}:{frames[-1].lineno})' if frames else ''
    return f'{type(err).__name__}: {text}{place}'
