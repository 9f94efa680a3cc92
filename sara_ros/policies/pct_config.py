"""Architecture of the PCT variant as values that read from and write to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sara_ros.core import SpecError
from sara_ros.core.json_fields import Fields
from sara_ros.policies.rt2_config import StateInput

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Stage:
    """
    One sampling stage of the grouped form.

    :param points: points that are left after it.
    :param neighbours: points whose features each of these takes.
    """

    points: int
    neighbours: int


@dataclass(frozen=True, slots=True)
class PCTConfig:
    """
    What it takes to build the network and its point filter again.

    :param cloud: name of the point observation.
    :param features: numbers a point has after ``x y z``; colours are in [0, 1].
    :param crop_min: lower corner of the box that is kept, in m and the cloud's frame.
    :param crop_max: upper corner of that box.
    :param voxel_m: side of the cubes whose points are averaged.
    :param points: points the network sees; see :func:`point_filter.fixed_count`.
    :param pose: name of the state observation that holds the end-effector pose; points are seen
        from there.
    :param pointers: attention heads of the action head that also return where they look.
    :param grouping: sampling stages before attention, as in PCT's own classifier; empty for
        attention over all points, as in SARA-RT's robot policy.
    :param grasp_symmetry: parts of a turn about its approach after which a grasp is the same,
        4 for two fingers on a cube; 0 for a network without grasp head.
    """

    cloud: str
    features: int
    crop_min: Vector
    crop_max: Vector
    voxel_m: float
    points: int
    pose: str
    state: tuple[StateInput, ...]
    vocabulary: tuple[str, ...]
    actions: int
    max_words: int = 8
    width: int = 64
    layers: int = 4
    head_width: int = 128
    head_layers: int = 2
    pointers: int = 4
    grouping: tuple[Stage, ...] = ()
    grasp_symmetry: int = 0

    def __post_init__(self) -> None:
        """Check the box and the sizes."""
        if not all(low < high for low, high in zip(self.crop_min, self.crop_max, strict=True)):
            raise SpecError(f'model: crop box {self.crop_min} to {self.crop_max} is empty')
        if not self.voxel_m > 0:
            raise SpecError(f'model: voxel_m is {self.voxel_m}; must be above 0')
        sizes = (self.points, self.actions, self.max_words, self.layers, self.head_layers)
        if min(*sizes, self.pointers) < 1:
            raise SpecError('model: every size must be at least 1')
        if self.features not in (0, 3):
            raise SpecError(f'model: features is {self.features}; must be 0, or 3 for colours')
        if self.width % 4 or self.head_width % self.pointers:
            raise SpecError(
                f'model: width {self.width} must be a multiple of 4, head_width '
                f'{self.head_width} one of pointers {self.pointers}'
            )
        if self.grasp_symmetry < 0:
            raise SpecError(f'model: grasp_symmetry is {self.grasp_symmetry}; must not be below 0')
        before = self.points
        for stage in self.grouping:
            if not 1 <= stage.points <= before or not 1 <= stage.neighbours <= before:
                raise SpecError(
                    f'model: a stage of grouping takes {stage.points} points and '
                    f'{stage.neighbours} neighbours of {before}; it takes at most as many'
                )
            before = stage.points

    @property
    def state_size(self) -> int:
        """Numbers in the joined state."""
        return sum(part.size for part in self.state)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, place: str = 'model') -> PCTConfig:
        """
        Read the JSON form.

        :raises SpecError: naming the field that is missing or wrong.
        """
        fields = Fields(data, place)
        return cls(
            cloud=fields.text('cloud'),
            crop_min=_vector(data, 'crop_min', place),
            crop_max=_vector(data, 'crop_max', place),
            voxel_m=fields.number('voxel_m'),
            pose=fields.text('pose'),
            state=tuple(
                StateInput(item.text('name'), item.integer('size'))
                for item in fields.items('state')
            ),
            vocabulary=fields.texts('vocabulary'),
            grouping=tuple(
                Stage(item.integer('points'), item.integer('neighbours'))
                for item in (fields.items('grouping') if 'grouping' in data else ())
            ),
            grasp_symmetry=fields.integer('grasp_symmetry', 0),
            **{name: fields.integer(name) for name in _INTEGERS},
        )


_INTEGERS: Final = (
    'features', 'points', 'actions', 'max_words', 'width', 'layers', 'head_width', 'head_layers',
    'pointers',
)  # fmt: skip


def _vector(data: Mapping[str, Any], name: str, place: str) -> Vector:
    value = data.get(name)
    numbers = isinstance(value, (list, tuple)) and len(value) == 3
    if not numbers or not all(isinstance(item, (int, float)) for item in value or ()):
        raise SpecError(f'{place}.{name}: expected three numbers, found {value!r:.80}')
    assert value is not None
    return (float(value[0]), float(value[1]), float(value[2]))
