"""Typed access to parsed JSON whose errors name the field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sara_ros.core.errors import SpecError

_REQUIRED: Any = object()


class Fields:
    """A JSON object together with the place it came from."""

    def __init__(self, data: Any, place: str) -> None:
        """
        Wrap ``data``.

        :raises SpecError: when it is not a JSON object.
        """
        if not isinstance(data, Mapping):
            raise SpecError(f'{place}: expected an object, found {type(data).__name__}')
        self._data = data
        self._place = place

    def _get(self, name: str, default: Any, types: tuple[type, ...], wanted: str) -> Any:
        if name not in self._data:
            if default is _REQUIRED:
                raise SpecError(f"{self._place}: '{name}' is missing")
            return default
        value = self._data[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise SpecError(f'{self._place}.{name}: expected {wanted}, found {value!r:.80}')
        return value

    def text(self, name: str, default: str = _REQUIRED) -> str:
        """Return a string."""
        return str(self._get(name, default, (str,), 'a string'))

    def number(self, name: str, default: float = _REQUIRED) -> float:
        """Return a number."""
        value = self._get(name, default, (int, float), 'a number')
        try:
            return float(value)
        except OverflowError as err:
            raise SpecError(f'{self._place}.{name}: {value!r:.20}... is too large') from err

    def integer(self, name: str, default: int = _REQUIRED) -> int:
        """Return a whole number."""
        return int(self._get(name, default, (int,), 'a whole number'))

    def flag(self, name: str, default: bool = _REQUIRED) -> bool:
        """Return true or false."""
        return bool(self._get(name, default, (bool,), 'true or false'))

    def mapping(self, name: str, default: Mapping[str, Any] = _REQUIRED) -> dict[str, Any]:
        """Return an object as a plain dictionary."""
        return dict(self._get(name, default, (Mapping,), 'an object'))

    def child(self, name: str) -> Fields:
        """Return an object whose errors name this one."""
        return Fields(self.mapping(name), f'{self._place}.{name}')

    def items(self, name: str) -> Iterator[Fields]:
        """Yield the objects of a list."""
        values = self._get(name, _REQUIRED, (list, tuple), 'a list')
        for index, value in enumerate(values):
            yield Fields(value, f'{self._place}.{name}[{index}]')

    def texts(self, name: str, default: tuple[str, ...] = _REQUIRED) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self._get(name, default, (list, tuple), 'a list of strings')
        for value in values:
            if not isinstance(value, str):
                raise SpecError(f'{self._place}.{name}: expected strings, found {value!r:.80}')
        return tuple(values)

    def sizes(self, name: str) -> tuple[int | None, ...]:
        """Return a list of whole numbers or nulls."""
        values = self._get(name, _REQUIRED, (list, tuple), 'a list of sizes')
        for value in values:
            if not (value is None or (isinstance(value, int) and not isinstance(value, bool))):
                raise SpecError(
                    f'{self._place}.{name}: expected whole numbers or null, found {value!r:.80}'
                )
        return tuple(values)
