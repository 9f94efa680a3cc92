"""The RT-2 variant's network: images and words in, action tokens out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import itertools
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from sara_ros.policies.blocks import Cache, DecoderBlock, EncoderBlock
from sara_ros.policies.rt2_config import RT2Config, View
from sara_ros.policies.token_step import TokenStep


class Generated(NamedTuple):
    """Tokens ``(B, T)`` chosen one after the other, and the probabilities ``(B, T, bins)``."""

    tokens: Tensor
    probabilities: Tensor


class ImageStem(nn.Module):
    """Convolutions of stride 2 down to one token a patch (Xiao et al. 2021)."""

    def __init__(self, view: View, width: int) -> None:
        """Build as many halvings as the patch needs."""
        super().__init__()
        halvings = view.patch.bit_length() - 1
        widths = [3, *(max(width >> (halvings - 1 - i), 16) for i in range(halvings - 1)), width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, width, 1))
        self.position = nn.Parameter(torch.randn(1, view.tokens, width) * 0.02)

    def forward(self, image: Tensor) -> Tensor:
        """Return tokens ``(B, N, C)`` of uint8 ``(B, H, W, 3)``."""
        scaled = image.permute(0, 3, 1, 2).float() * (4.0 / 255.0) - 2.0  # (B, 3, H, W)
        tokens: Tensor = self.layers(scaled).flatten(2).transpose(1, 2) + self.position
        return tokens


class RT2Network(nn.Module):
    """
    A vision transformer whose tokens a small causal decoder reads, as in PaLI-X and RT-2.

    Image tokens do not depend on the instruction: the encoder runs once for an image, and the
    decoder once for each instruction about it. The decoder's sequence is the state, the words,
    and the action tokens, each of which is predicted from all before it (RT-2, Brohan et al.
    2023, section 3.2).
    """

    state_mean: Tensor
    state_std: Tensor

    def __init__(self, config: RT2Config, backend: str, options: Mapping[str, Any]) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.config = config
        width, heads, ratio = config.width, config.heads, config.feed_ratio
        self.stems = nn.ModuleList(ImageStem(view, width) for view in config.views)
        self.encoder = nn.ModuleList(
            EncoderBlock(width, heads, ratio, backend, options)
            for _ in range(config.encoder_layers)
        )
        self.memory_norm = nn.LayerNorm(width)
        self.register_buffer('state_mean', torch.zeros(config.state_size))
        self.register_buffer('state_std', torch.ones(config.state_size))
        self.state = nn.Sequential(
            nn.Linear(config.state_size, width), nn.GELU(), nn.Linear(width, width)
        )
        self.words = nn.Embedding(len(config.vocabulary), width)
        self.tokens = nn.Embedding(config.bins + 1, width)  # the last one starts the action
        length = config.prompt + config.actions
        self.position = nn.Parameter(torch.randn(1, 1, length, width) * 0.02)
        self.decoder = nn.ModuleList(
            DecoderBlock(width, heads, ratio) for _ in range(config.decoder_layers)
        )
        self.head_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.bins)
        for embedding in (self.words, self.tokens):
            nn.init.normal_(embedding.weight, std=0.5)

    @property
    def decoder_blocks(self) -> list[DecoderBlock]:
        """The decoder as a plain list."""
        return cast('list[DecoderBlock]', list(self.decoder))

    def encode(self, images: Sequence[Tensor]) -> Tensor:
        """Return the memory ``(B, N, C)`` of one uint8 image ``(B, H, W, 3)`` a view."""
        pairs = zip(self.stems, images, strict=True)
        x = torch.cat([stem(image) for stem, image in pairs], dim=1)
        for block in self.encoder:
            x = block(x)
        memory: Tensor = self.memory_norm(x)
        return memory

    def embed(self, state: Tensor, words: Tensor, actions: Tensor) -> Tensor:
        """
        Return the decoder's input ``(B, I, L, C)`` for ``I`` instructions on one image.

        :param state: ``(B, S)`` in the units of the observations.
        :param words: ``(B, I, W)``.
        :param actions: ``(B, I, T')``, the action tokens known so far.
        """
        shared = words.shape[1]
        normal = (state - self.state_mean) / self.state_std
        state_token = self.state(normal)[:, None, None].expand(-1, shared, 1, -1)
        start = words.new_full((*words.shape[:2], 1), self.config.bins)
        known = self.tokens(torch.cat((start, actions), dim=-1))
        x = torch.cat((state_token, self.words(words), known), dim=2)
        embedded: Tensor = x + self.position[:, :, : x.shape[2]]
        return embedded

    def forward(
        self, images: Sequence[Tensor], state: Tensor, words: Tensor, actions: Tensor
    ) -> Tensor:
        """Return logits ``(B, I, T, bins)``, each from the true tokens ``(B, I, T)`` before it."""
        memory = self.encode(images)
        x = self.embed(state, words, actions[..., :-1])
        for block in self.decoder_blocks:
            x = block(x, block.memory_cache(memory))
        return self.logits(x)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of the positions that predict an action token."""
        predicted: Tensor = self.head(self.head_norm(x[..., self.config.prompt :, :]))
        return predicted

    def generate(self, images: Sequence[Tensor], state: Tensor, words: Tensor) -> Generated:
        """Choose the likeliest token at each step; ``words`` is ``(B, W)``."""
        memory = self.encode(images)
        caches = [block.memory_cache(memory) for block in self.decoder_blocks]
        x = self.embed(state, words[:, None], words.new_zeros(len(words), 1, 0))[:, 0]
        steps = [TokenStep(block) for block in self.decoder_blocks]
        past: list[Cache | None] = [None] * len(steps)
        chosen, distributions = [], []
        for index in range(self.config.actions):
            for layer, step in enumerate(steps):
                x, past[layer] = step(x, caches[layer], past[layer])
            logits = self.head(self.head_norm(x[:, -1]))
            token = logits.argmax(dim=-1)
            chosen.append(token)
            distributions.append(logits.softmax(dim=-1))
            if index + 1 < self.config.actions:
                place = self.config.prompt + index + 1
                x = self.tokens(token[:, None]) + self.position[:, 0, place]  # (B, 1, C)
        return Generated(torch.stack(chosen, 1), torch.stack(distributions, 1))
