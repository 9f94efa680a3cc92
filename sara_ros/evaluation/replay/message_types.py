"""Message types of bags: those embedded in the bag, and the well-known ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
import os
from pathlib import Path
from typing import Any, Final

from rosbags.interfaces import Connection, ConnectionExtRosbag1, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from sara_ros.core.errors import describe

Reader = Callable[[bytes], Any]
INTERFACES: Final = 'sara_ros_msgs'
_SECTION: Final = '=' * 80 + '\n'


class UnknownTypeError(Exception):
    """Nobody says what the messages of a connection look like."""


def ros2_name(name: str) -> str:
    """Return a type name in ROS 2 style: ``sensor_msgs/Imu`` becomes ``sensor_msgs/msg/Imu``."""
    package, _, rest = name.partition('/')
    return name if '/' in rest or not rest else f'{package}/msg/{rest}'


def reader_of(connection: Connection) -> Reader:
    """
    Return what turns the bytes of a connection into messages.

    The definition embedded in the bag counts; without one that can be read, the type must be one
    of the distribution or of this package.

    :raises UnknownTypeError: saying why the type is not known.
    """
    name, ros1 = ros2_name(connection.msgtype), _is_ros1(connection)
    problem = 'the bag embeds no definition of it'
    given = connection.msgdef.format is not MessageDefinitionFormat.NONE
    if given and connection.msgdef.data.strip():
        try:
            store = _embedded(name, connection.msgdef.format.name, connection.msgdef.data)
            return _reader(store, name, ros1=ros1)
        except Exception as err:  # whatever a parser makes of a broken definition
            problem = f'its definition in the bag cannot be read: {describe(err)}'
    store = ros1_types() if ros1 else ros2_types()
    if name not in store.fielddefs:
        raise UnknownTypeError(f"type '{name}' is not known, and {problem}")
    return _reader(store, name, ros1=ros1)


def _is_ros1(connection: Connection) -> bool:
    if isinstance(connection.ext, ConnectionExtRosbag1):
        return True
    encoding = connection.ext.serialization_format
    if encoding not in ('cdr', 'ros1', ''):
        raise UnknownTypeError(f"its messages are encoded as '{encoding}'; cdr and ros1 are read")
    return encoding == 'ros1'


def _reader(store: Typestore, name: str, *, ros1: bool) -> Reader:
    store.get_msgdef(name)
    deserialize = store.deserialize_ros1 if ros1 else store.deserialize_cdr
    return lambda data: deserialize(data, name)


@cache
def ros2_types() -> Typestore:
    """Return the types of ROS 2 Jazzy and of this package."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for path in sorted(_interfaces().glob('*.msg')) if _interfaces().is_dir() else []:
        name = f'{INTERFACES}/msg/{path.stem}'
        types.update(get_types_from_msg(path.read_text(encoding='utf-8'), name))
    store.register(types)
    return store


@cache
def ros1_types() -> Typestore:
    """Return the types of ROS 1 Noetic."""
    return get_typestore(Stores.ROS1_NOETIC)


@cache
def _embedded(name: str, form: str, text: str) -> Typestore:
    store = get_typestore(Stores.EMPTY)
    if form == MessageDefinitionFormat.MSG.name:
        store.register(get_types_from_msg(text, name))
    elif text.startswith(f'{_SECTION}IDL: '):
        types: dict[str, Any] = {}
        for section in text.split(_SECTION)[1:]:
            types.update(get_types_from_idl(section.split('\n', 1)[1]))
        store.register(types)
    else:
        store.register(get_types_from_idl(text))
    return store


def _interfaces() -> Path:
    """Return the folder of this package's messages, in the source tree or installed."""
    roots = [Path(__file__).resolve().parents[3] / INTERFACES]
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    roots += [Path(prefix) / 'share' / INTERFACES for prefix in prefixes if prefix]
    folders = [root / 'msg' for root in roots]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
