"""Whether the live graph chose the same actions as the replay, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import PolicySpec
from sara_ros.core.listing import listed
from sara_ros.evaluation.replay.messages import at

Chunks = Mapping[int, NDArray[np.float32]]
Stamps = Mapping[str, int]
"""Stamp of each observation (ns) by its name."""
MOST_NAMED: Final = 5


def unequal_stamps(bag_time: Chunks, live: Chunks) -> list[int]:
    """Return the stamps at which both acted, and not alike."""
    both = sorted(bag_time.keys() & live.keys())
    return [stamp for stamp in both if not same(bag_time[stamp], live[stamp])]


def compare_chunks(bag_time: Chunks, live: Chunks) -> dict[str, Any]:
    """
    Compare two runs of one policy on one recording, each chunk by its observation's stamp.

    ``equal`` and ``different`` count the actions of chunks that both have; ``notes`` names
    the stamps; :func:`judge` says why actions differ.
    """
    both = sorted(bag_time.keys() & live.keys())
    unequal = unequal_stamps(bag_time, live)
    only_bag_time = sorted(bag_time.keys() - live.keys())
    only_live = sorted(live.keys() - bag_time.keys())
    notes = []
    if unequal:
        largest = max(_gap(bag_time[stamp], live[stamp]) for stamp in unequal)
        notes.append(
            f'actions differ at stamp {_named(unequal)}; largest difference {largest:.3g}'
        )
    if only_bag_time:
        notes.append(f'the live policy did not act on the observation {_named(only_bag_time)}')
    if only_live:
        notes.append(f'bag time superseded the observation {_named(only_live)}')
    return {
        'equal': sum(len(live[stamp]) for stamp in both if stamp not in set(unequal)),
        'different': sum(len(live[stamp]) for stamp in unequal),
        'only_bag_time': sum(len(bag_time[stamp]) for stamp in only_bag_time),
        'only_live': sum(len(live[stamp]) for stamp in only_live),
        'notes': notes,
    }


def judge(
    bag_time: Chunks,
    live: Chunks,
    seen: Mapping[int, Stamps],
    examined: Mapping[int, Stamps | None],
    spec: PolicySpec,
    topics: Mapping[str, str],
) -> tuple[list[str], list[str]]:
    """
    Return what is to be said of unequal chunks: of those that timing explains, and of the others.

    :param seen: stamp of each observation behind the chunks of the replay, by its name.
    :param examined: the same of the live graph; None where no observation explains the chunk,
        and empty where that is not known.
    :param topics: topic by the name of the observation.
    """
    timing, unexplained = [], []
    for stamp, stamps in examined.items():
        if stamps is None or (stamps == seen.get(stamp) and spec.history == 1):
            why = ', for no other observation of the recording gives the live action'
            unexplained.append(
                f"at stamp {at(stamp)} of '{topics[spec.driver.name]}' the live graph and the "
                f'replay saw the same{why if stamps is None else ""}: '
                f'{_largest(bag_time[stamp], live[stamp], spec)}'
            )
        elif stamps:
            others = [
                f"'{topics[name]}' of {at(stamps[name])}, the replay that of {at(each)}"
                for name, each in seen.get(stamp, {}).items()
                if stamps[name] != each
            ]
            what = '; '.join(others) or 'the same, after other observations'
            timing.append(f'at stamp {at(stamp)} the live policy saw {what}')
    unknown = len(unequal_stamps(bag_time, live)) - len(timing) - len(unexplained)
    if unknown:
        timing.append(f'what the live policy saw at {unknown} more of these stamps is not known')
    return timing, unexplained


def _largest(a: NDArray[np.float32], b: NDArray[np.float32], spec: PolicySpec) -> str:
    if a.shape != b.shape:
        return f'{len(a)} and {len(b)} actions'
    gaps = np.abs(a - b)
    step, place = np.unravel_index(int(gaps.argmax()), gaps.shape)
    dimension = spec.action.dimensions[place]
    unit = f' {dimension.unit}' if dimension.unit else ''
    return f"dimension '{dimension.name}' differs by {gaps[step, place]:.3g}{unit} in step {step}"


def same(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Tell whether two chunks are equal to the last bit."""
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _gap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max()) if a.shape == b.shape else float('inf')


def _named(stamps: list[int]) -> str:
    return listed([at(stamp) for stamp in stamps], MOST_NAMED)
