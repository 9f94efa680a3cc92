"""What the first messages of a topic say: names and rates."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import numpy as np

from sara_ros.core import ParameterError
from sara_ros.core.errors import describe
from sara_ros.decoding.stamps import NS, to_ns
from sara_ros.evaluation.replay.messages import BagMessage, Source, at

MOST: Final = 200
"""Messages that a rate is measured on."""


def first_of(source: Source, topic: str) -> Any:
    """
    Return the first message of ``topic``.

    :raises ParameterError: when there is none, or it cannot be decoded.
    """
    for message in source.messages({topic}):
        try:
            return message.read()
        except Exception as err:  # whatever a decoder makes of broken bytes
            raise ParameterError(
                f"{source.name}: topic '{topic}', stamp {at(message.log_ns)}: its first message "
                f'cannot be decoded: {describe(err)}'
            ) from err
    raise ParameterError(f"{source.name}: topic '{topic}' holds no message")


def rate_of(source: Source, topic: str) -> float:
    """Return the median rate of the first messages of ``topic`` in Hz; 0 where none is told."""
    stamps = [_stamp_ns(each) for each in islice(source.messages({topic}), MOST)]
    gaps_ns = np.diff(np.unique(np.array([each for each in stamps if each], np.float64)))
    return float(NS / np.median(gaps_ns)) if len(gaps_ns) else 0.0


def _stamp_ns(message: BagMessage) -> int:
    try:
        header = getattr(message.read(), 'header', None)
        return message.log_ns if header is None else to_ns(header.stamp)
    except Exception:  # it is reported when the bag is played
        return 0
