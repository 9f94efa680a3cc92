"""What stands in the files of a LeRobot v2.1 folder beside the frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from typing import Any, Final

CHUNK: Final = 1000
"""Episodes of a folder."""
DATA_PATH: Final = 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet'
VIDEO_PATH: Final = 'videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4'
_NUMBERS: Final = {
    'timestamp': 'float32', 'frame_index': 'int64', 'episode_index': 'int64', 'index': 'int64',
    'task_index': 'int64',
}  # fmt: skip
_CODECS: Final = {'libx264': 'h264'}


def totals(episodes: int, frames: int, tasks: int, cameras: int) -> dict[str, Any]:
    """Return the counts that begin ``meta/info.json``."""
    return {
        'codebase_version': 'v2.1',
        'robot_type': 'unknown',
        'total_episodes': episodes,
        'total_frames': frames,
        'total_tasks': tasks,
        'total_videos': episodes * cameras,
        'total_chunks': -(-episodes // CHUNK),
        'chunks_size': CHUNK,
    }


def features(
    vectors: Mapping[str, Sequence[str]], videos: Mapping[str, tuple[int, int]], fps: int,
    encoder: str,
) -> dict[str, Any]:  # fmt: skip
    """
    Return the columns as ``meta/info.json`` describes them.

    :param vectors: names of the numbers by column.
    :param videos: height and width by column.
    :param encoder: that the videos are written with.
    """
    return {
        **{
            column: {'dtype': 'float32', 'shape': [len(names)], 'names': list(names)}
            for column, names in vectors.items()
        },
        **{column: _video(*size, fps, encoder) for column, size in videos.items()},
        **{
            column: {'dtype': kind, 'shape': [1], 'names': None}
            for column, kind in _NUMBERS.items()
        },
    }


def arrow_metadata(vectors: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return what a parquet file says of its columns to Hugging Face's ``datasets``."""
    columns: dict[str, Any] = {
        column: {
            'feature': {'dtype': 'float32', '_type': 'Value'},
            'length': len(names),
            '_type': 'Sequence',
        }
        for column, names in vectors.items()
    }
    columns |= {column: {'dtype': kind, '_type': 'Value'} for column, kind in _NUMBERS.items()}
    return {'huggingface': json.dumps({'info': {'features': columns}})}


def _video(height: int, width: int, fps: int, encoder: str) -> dict[str, Any]:
    return {
        'dtype': 'video',
        'shape': [height, width, 3],
        'names': ['height', 'width', 'channel'],
        'info': {
            'video.height': height,
            'video.width': width,
            'video.codec': _CODECS.get(encoder, encoder),
            'video.pix_fmt': 'yuv420p',
            'video.is_depth_map': False,
            'video.fps': fps,
            'video.channels': 3,
            'has_audio': False,
        },
    }
