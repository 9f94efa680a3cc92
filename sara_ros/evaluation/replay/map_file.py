"""YAML files in which every key stands once."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from sara_ros.core import ParameterError
from sara_ros.evaluation.formatting import one_line


def read_yaml(path: Path) -> Any:
    """
    Return the content of a YAML file; an empty one gives an empty mapping.

    :raises ParameterError: in one line, naming the file and what is wrong in it.
    """
    try:
        # The loader makes plain values only, as yaml.safe_load does.
        data = yaml.load(path.read_text(encoding='utf-8-sig'), _EachKeyOnce)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as err:
        raise ParameterError(f'cannot read the map {path}: {one_line(str(err))}') from err
    return {} if data is None else data


class _EachKeyOnce(yaml.SafeLoader):
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{twice[0]}' stands there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
