"""The PCT variant's network: points and words in, an end-effector action out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from sara_ros.attention import Projection, create, fold, joined, worth_folding
from sara_ros.policies.blocks import DecoderBlock
from sara_ros.policies.grasp_head import GraspHead
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.point_groups import Grouping
from sara_ros.policies.point_norm import PointNorm


class PCTOutput(NamedTuple):
    """
    What the network says about each instruction.

    :param actions: ``(B, I, T)`` in [-1, 1].
    :param scores: the pointers' scores over points, ``(B, I, P, N)``.
    :param xyz: the points that scores are about, ``(B, N, 3)`` in m: all, or the sampled ones.
    :param grasps: ``(B, I, 8)``, see :class:`GraspHead`; ``None`` without such a head.
    """

    actions: Tensor
    scores: Tensor
    xyz: Tensor
    grasps: Tensor | None = None


class OffsetAttention(nn.Module):
    """
    PCT's offset attention over all points (Guo et al. 2021, equations 6 and 7).

    Queries and keys share one projection of a quarter of the width, values have their own, and
    the block transforms the difference between its input and what attention returns.
    """

    def __init__(self, width: int, backend: str, options: Mapping[str, Any]) -> None:
        """Build the layer; the backend works on a single head."""
        super().__init__()
        self.shared = nn.Linear(width, width // 4, bias=False)
        self.value = nn.Linear(width, width)
        self.attention = create(backend, head_dim=width // 4, heads=1, options=options)
        self.folded = False
        self.transform = nn.Sequential(nn.Linear(width, width), PointNorm(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Mix ``(B, N, C)`` over points."""
        shared = self.shared(x)[:, None]  # (B, 1, N, C / 4)
        q, k = shared.chunk(2, dim=-1) if self.folded else (shared, shared)
        seen = self.attention.offset(q, k, self.value(x)[:, None])[:, 0]
        mixed: Tensor = x + self.transform(x - seen)
        return mixed

    def fold(self) -> None:
        """
        Fold a SARA backend into ``shared`` for serving; never do so to what is trained or saved.

        Queries and keys then have features of their own. Other backends stay as they are.

        :raises ParameterError: see :func:`sara_ros.attention.fold`.
        """
        if not worth_folding(self.attention):
            return
        shared = Projection(self.shared.weight, self.shared.bias)
        folded = fold(self.attention, shared, shared)
        self.shared, self.attention = joined((folded.query, folded.key)), folded.attention
        self.folded = True


class PCTNetwork(nn.Module):
    """
    Point embedding, offset attention, and a head that asks the points with the instruction.

    Attention is over all points, or over those that the sampling stages of ``grouping`` leave.
    The head's sequence is the state, the words and one query; what its pointer heads look at is
    also read out as a position relative to the end effector.
    """

    state_mean: Tensor
    state_std: Tensor

    def __init__(self, config: PCTConfig, backend: str, options: Mapping[str, Any]) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.config = config
        width, wide = config.width, config.head_width
        self.embedding = nn.Sequential(
            nn.Linear(6 + config.features, width), PointNorm(width), nn.ReLU(),
            nn.Linear(width, width), PointNorm(width), nn.ReLU(),
        )  # fmt: skip
        self.layers = nn.ModuleList(
            OffsetAttention(width, backend, options) for _ in range(config.layers)
        )
        self.fuse = nn.Sequential(
            nn.Linear((1 + config.layers) * width, wide), PointNorm(wide), nn.ReLU()
        )
        self.register_buffer('state_mean', torch.zeros(config.state_size))
        self.register_buffer('state_std', torch.ones(config.state_size))
        self.state = nn.Linear(config.state_size, wide)
        self.words = nn.Embedding(len(config.vocabulary), wide)
        self.position = nn.Parameter(torch.randn(1, 1, config.max_words + 2, wide) * 0.5)
        self.head = nn.ModuleList(
            DecoderBlock(wide, config.pointers, 2) for _ in range(config.head_layers)
        )
        self.point_q = nn.Linear(wide, wide)
        self.point_k = nn.Linear(wide, wide)
        self.query_norm = nn.LayerNorm(wide)
        self.action = nn.Sequential(
            nn.Linear(wide + 9 * config.pointers, 2 * wide), nn.GELU(),
            nn.Linear(2 * wide, 2 * wide), nn.GELU(),
            nn.Linear(2 * wide, config.actions),
        )  # fmt: skip
        self.groups = nn.ModuleList(Grouping(stage, width) for stage in config.grouping)
        self.grasp: GraspHead | None = None
        if config.grasp_symmetry:
            self.grasp = GraspHead(wide + 9 * config.pointers, config.grasp_symmetry)

    def encode(self, points: Tensor, origin: Tensor) -> Tensor:
        """
        Return point features ``(B, N, C')``, of the sampled points with ``grouping``.

        :param points: ``(B, N, 3 + F)`` in m.
        :param origin: end-effector position ``(B, 3)`` in m.
        """
        return self._encoded(points, origin)[1]

    def _encoded(self, points: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
        xyz = points[..., :3]
        middle = xyz.new_tensor(self.config.crop_min) + xyz.new_tensor(self.config.crop_max)
        near = xyz - origin[:, None]  # (B, N, 3)
        inputs = torch.cat(((xyz - middle / 2) * 4, near * 4, points[..., 3:] * 2 - 1), dim=-1)
        x = self.embedding(inputs)
        for group in self.groups:
            xyz, x = group(xyz, x)
        outputs = [x]
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        fused: Tensor = self.fuse(torch.cat(outputs, dim=-1))
        return xyz, fused

    def forward(self, points: Tensor, state: Tensor, words: Tensor) -> PCTOutput:
        """
        Return actions for ``I`` instructions about one cloud.

        :param points: ``(B, N, 3 + F)``.
        :param state: ``(B, S)`` in the units of the observations.
        :param words: ``(B, I, W)``.
        """
        origin = state[:, self._pose_at : self._pose_at + 3]
        xyz, memory = self._encoded(points, origin)
        x = self._prompt(state, words)
        for block in cast('list[DecoderBlock]', list(self.head)):
            x = block(x, block.memory_cache(memory))
        query = x[:, :, -1]  # (B, I, C')
        scores = self._scores(query, memory)
        near = xyz - origin[:, None]  # (B, N, 3)
        places = torch.einsum('bipn,bnd->bipd', scores.softmax(dim=-1), near)
        read = torch.cat((self.query_norm(query), _coordinates(places)), dim=-1)
        grasps = None
        if self.grasp is not None:
            grasps = self.grasp(read, places[:, :, 0] + origin[:, None])
        return PCTOutput(self.action(read), scores, xyz, grasps)

    def _prompt(self, state: Tensor, words: Tensor) -> Tensor:
        shared = words.shape[1]
        normal = (state - self.state_mean) / self.state_std
        first = self.state(normal)[:, None, None].expand(-1, shared, 1, -1)
        last = torch.zeros_like(first)
        prompt: Tensor = torch.cat((first, self.words(words), last), dim=2) + self.position
        return prompt

    def _scores(self, query: Tensor, memory: Tensor) -> Tensor:
        pointers = self.config.pointers
        q = self.point_q(query).reshape(*query.shape[:-1], pointers, -1)  # (B, I, P, D)
        k = self.point_k(memory).reshape(*memory.shape[:-1], pointers, -1)  # (B, N, P, D)
        scores: Tensor = torch.einsum('bipd,bnpd->bipn', q, k) * float(q.shape[-1]) ** -0.5
        return scores

    @property
    def _pose_at(self) -> int:
        names = [part.name for part in self.config.state]
        before = self.config.state[: names.index(self.config.pose)]
        return sum(part.size for part in before)


def _coordinates(places: Tensor) -> Tensor:
    """
    Return ``(B, I, 9 P)`` of positions ``(B, I, P, 3)`` in m relative to the gripper.

    Tasks end within a centimetre: beside the coarse values there are some that saturate at a few,
    of the positions and of their distances from the first pointer's.
    """
    gaps = places[..., :1, :] - places
    parts = (places * 10, (places * 50).tanh(), (gaps * 50).tanh())
    return torch.cat([part.flatten(2) for part in parts], dim=-1)
