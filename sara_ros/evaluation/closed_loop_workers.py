"""Plays pieces of an evaluation, in this process or in several."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
import multiprocessing
from pathlib import Path
import signal

from sara_ros.core import ParameterError
from sara_ros.core.allocator import keep_freed_memory
from sara_ros.core.policy import SCRIPTED_EXPERT
from sara_ros.evaluation.closed_loop_episode import (
    Episode,
    ExpertPlayer,
    Job,
    Outcome,
    Player,
    PolicyPlayer,
    Rules,
    Stage,
)
from sara_ros.policies.threads import limit_threads, one_thread
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.policy_sensors import check_fit
from sara_ros.sim.scene import SceneVariation
from sara_ros.sim.suites import Suite
from sara_ros.sim.world import TabletopWorld


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Episodes that are played together; their outcomes depend on nothing else.

    :param seats: episodes under way at once.
    """

    models_dir: Path
    model_id: str
    attention_backend: str
    suite: Suite
    rules: Rules
    seats: int
    device: str
    jobs: tuple[Job, ...]


def play_pieces(pieces: Sequence[Piece], workers: int) -> Iterator[tuple[int, list[Outcome]]]:
    """
    Yield the index and the outcomes of each piece as it is done.

    :param workers: processes, each with one thread; 1 plays in this one.
    """
    if workers < 1:
        raise ParameterError(f'workers is {workers}; must be at least 1')
    if workers == 1 or len(pieces) < 2:
        for index, piece in enumerate(pieces):
            with one_thread():
                outcomes = play_piece(piece)
            yield index, outcomes
        return
    context = multiprocessing.get_context('spawn')
    pool = ProcessPoolExecutor(min(workers, len(pieces)), context, _begin_worker)
    try:
        jobs = {pool.submit(play_piece, piece): index for index, piece in enumerate(pieces)}
        for job in as_completed(jobs):
            yield jobs[job], job.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def play_piece(piece: Piece) -> list[Outcome]:
    """
    Play the episodes of ``piece`` in step: a new one begins where one is over.

    :raises ParameterError: for a policy that does not fit the tabletop.
    """
    player = _player(piece)
    stages = _stages(piece.suite.scene, min(piece.seats, len(piece.jobs)))
    waiting, under_way = deque(piece.jobs), dict[int, Episode]()
    outcomes: list[Outcome] = []
    while waiting or under_way:
        for seat, stage in enumerate(stages):
            if waiting and seat not in under_way:
                job = waiting.popleft()
                under_way[seat] = Episode(piece.suite, job, stage, player.spec, piece.rules)
                player.start(seat)
        for seat, chunk in player.act(under_way).items():
            outcome = under_way[seat].take(chunk)
            if outcome is not None:
                outcomes.append(outcome)
                del under_way[seat]
    return outcomes


_kept_player: list[tuple[tuple[object, ...], Player]] = []
_kept_stages: dict[SceneVariation, list[Stage]] = {}


def _player(piece: Piece) -> Player:
    """Return the policy, which a process loads once for all pieces of a row."""
    key = (piece.models_dir, piece.model_id, piece.attention_backend, piece.seats, piece.device)
    if not _kept_player or _kept_player[0][0] != key:
        _kept_player[:] = [(key, _load(piece))]
    return _kept_player[0][1]


def _load(piece: Piece) -> Player:
    from sara_ros.policies.loading import load_policy

    backend = piece.attention_backend
    policy = load_policy(
        piece.models_dir, piece.model_id, attention_backend=backend, device=piece.device
    )
    check_fit(policy.spec)
    if piece.model_id == SCRIPTED_EXPERT:
        return ExpertPlayer(policy.spec)
    return PolicyPlayer(policy, piece.seats)


def _stages(scene: SceneVariation, count: int) -> list[Stage]:
    """Return worlds, which a process makes once; all of a scene are drawn by one rig."""
    stages = _kept_stages.setdefault(scene, [])
    while len(stages) < count:
        world = TabletopWorld(scene)
        rig = stages[0].rig if stages else CameraRig(world.model)
        stages.append(Stage(world, rig))
    return stages[:count]


def _begin_worker() -> None:
    limit_threads(1)
    keep_freed_memory()
    # Ctrl-C reaches every process of the terminal; a worker ends at once and without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
