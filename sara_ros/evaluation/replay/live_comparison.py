"""Whether the live graph chose the same actions as the replay, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.core.listing import listed
from sara_ros.evaluation.replay.messages import at

Chunks = Mapping[int, NDArray[np.float32]]
MOST_NAMED: Final = 5


def compare_chunks(bag_time: Chunks, live: Chunks) -> dict[str, Any]:
    """
    Compare two runs of one policy on one recording, each chunk by its observation's stamp.

    ``equal`` and ``different`` count the actions of chunks that both have; ``notes`` names the
    stamps where timing made a difference.
    """
    both = sorted(bag_time.keys() & live.keys())
    unequal = [stamp for stamp in both if not _same(bag_time[stamp], live[stamp])]
    only_bag_time = sorted(bag_time.keys() - live.keys())
    only_live = sorted(live.keys() - bag_time.keys())
    notes = []
    if unequal:
        largest = max(_gap(bag_time[stamp], live[stamp]) for stamp in unequal)
        notes.append(
            'other sensors were newer or older when the policy looked, at stamp '
            f'{_named(unequal)}; largest difference {largest:.3g}'
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


def _same(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _gap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max()) if a.shape == b.shape else float('inf')


def _named(stamps: list[int]) -> str:
    return listed([at(stamp) for stamp in stamps], MOST_NAMED)
