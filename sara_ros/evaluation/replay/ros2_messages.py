"""Messages of any recording as the bytes that ROS 2 sends."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from rosbags.interfaces import Nodetype

from sara_ros.core import ObservationError
from sara_ros.decoding.stamps import NS, to_ns
from sara_ros.evaluation.replay.message_types import ros2_types

_DTYPES: Final = {'octet': 'uint8', 'byte': 'uint8', 'char': 'uint8'}


def serialised(message: Any, kind: str, *, shift_ns: int = 0) -> bytes:
    """
    Return ``message`` as ROS 2 sends it, whatever generation of ROS it comes from.

    :param kind: such as ``sensor_msgs/msg/Image``.
    :param shift_ns: is added to the stamp of its header; no stamp stays none.
    :raises ObservationError: for a message without a field of its type.
    """
    store = ros2_types()
    rebuilt = _rebuilt(message, kind)
    header = getattr(rebuilt, 'header', None)
    if header is not None and to_ns(header.stamp):
        stamp_ns = to_ns(header.stamp) + shift_ns
        header.stamp.sec, header.stamp.nanosec = stamp_ns // NS, stamp_ns % NS
    return bytes(store.serialize_cdr(rebuilt, kind))


def _rebuilt(message: Any, kind: str) -> Any:
    store = ros2_types()
    fields = {}
    for name, description in store.fielddefs[kind][1]:
        if not hasattr(message, name):
            raise ObservationError('malformed', f"message of type '{kind}' has no field '{name}'")
        fields[name] = _value(getattr(message, name), description)
    return store.types[kind](**fields)


def _value(value: Any, description: Any) -> Any:
    form, detail = description
    if form == Nodetype.NAME:
        return _rebuilt(value, detail)
    if form in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        inner = detail[0]
        if inner[0] == Nodetype.NAME:
            return [_rebuilt(each, inner[1]) for each in value]
        if inner[1][0] == 'string':
            return [str(each) for each in value]
        return np.asarray(value, _DTYPES.get(inner[1][0], inner[1][0]))
    return value
