"""The frames behind a tabletop model, collected again where they are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress

from sara_ros.training.capture import Capture
from sara_ros.training.collect import CollectConfig, collect
from sara_ros.training.dagger import DaggerConfig, collect_dagger
from sara_ros.training.frames import Frames, has_frames, join, load_frames
from sara_ros.training.scenes import HELD_OUT_SEEDS
from sara_ros.training.shards import claim_folder
from sara_ros.training.tabletop import TabletopFrames
from sara_ros.training.varied import variation_settings, variations_of
from sara_ros.uptraining.data import DataOptions

_SHARD: Final = 500
_HELD_OUT_SHARD: Final = 50


@dataclass(frozen=True, slots=True)
class FrameStore:
    """
    Collects and loads what ``training`` of a checkpoint states.

    :param model_id: the model, which drives where DAgger frames are missing: the learners of its
        own rounds are gone.
    :param training: ``training`` of its ``policy.json``.
    :param capture: which sensors its frames hold.
    """

    model_id: str
    training: Mapping[str, Any]
    capture: Capture
    options: DataOptions
    progress: Progress | None = None

    def trained_on(self) -> TabletopFrames:
        """Return expert and DAgger frames, as the model's own training used them."""
        visited: Frames | None = None
        for index, row in enumerate(self.training.get('dagger_rounds', [])):
            frames = self._dagger(index, self._limited(int(row['frames'])), row.get('verbs', ()))
            visited = frames if visited is None else join(visited, frames)
        return TabletopFrames(
            self._expert(), visited, int(self.training['instructions_per_image'])
        )

    def held_out(self) -> Frames:
        """Return frames of scenes that neither training nor closed-loop evaluation plays."""
        folder, count = self.options.work / 'held-out', self.options.held_out
        config = CollectConfig(
            folder, count, self.options.processes, _HELD_OUT_SHARD, capture=self.capture,
            variations=variations_of(self.training), first_seed=HELD_OUT_SEEDS,
        )  # fmt: skip
        return self._collected(config)

    def _expert(self) -> Frames:
        count = self._limited(int(self.training['expert_frames']))
        folder = self.options.work / 'frames'
        config = CollectConfig(
            folder, count, self.options.processes, min(_SHARD, count), self._seed, self.capture,
            variations=variations_of(self.training),
        )  # fmt: skip
        return self._collected(config)

    def _collected(self, config: CollectConfig) -> Frames:
        if not has_frames(config.folder, config.frames, config.shard):
            collect(config, self.progress)
        return self._loaded(config.folder, config.frames)

    def _dagger(self, index: int, count: int, verbs: Sequence[str]) -> Frames:
        folder, shard = self.options.work / f'dagger-{index}', min(_SHARD, count)
        if not has_frames(folder, count, shard):
            config = DaggerConfig(
                folder, self.options.models_dir, self.model_id, count, self.capture,
                self.options.processes, shard, seed=self._seed * 10 + index, verbs=tuple(verbs),
                variations=variations_of(self.training),
            )  # fmt: skip
            collect_dagger(config, self.progress)
        return self._loaded(folder, count)

    def _loaded(self, folder: Path, count: int) -> Frames:
        # Frames may be there already, of a model that was trained on other scenes.
        claim_folder(folder, variation_settings(variations_of(self.training)))
        return load_frames(folder, count)

    def _limited(self, count: int) -> int:
        return min(count, self.options.frames or count)

    @property
    def _seed(self) -> int:
        return int(self.training.get('recipe', {}).get('seed', 0))
