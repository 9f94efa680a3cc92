"""The RT-2 variant's network: images and words in, action tokens out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import itertools
from typing import Any, Final, NamedTuple, cast

import torch
from torch import Tensor, nn

from sara_ros.policies.blocks import Cache, DecoderBlock, EncoderBlock
from sara_ros.policies.number_tokens import valid_symbols
from sara_ros.policies.rt2_config import RT2Config, View
from sara_ros.policies.token_step import TokenStep

INVALID: Final = -1e4
"""Score of a token that may not stand at a place; finite, because its gradient must be."""


class Generated(NamedTuple):
    """Tokens ``(B, T)`` that were chosen, and the probabilities ``(B, T, symbols)``."""

    tokens: Tensor
    probabilities: Tensor


class ImageStem(nn.Module):
    """
    Convolutions of stride 2 down to one token a patch (Xiao et al. 2021).

    The last ones keep their size where patches overlap: every token of a view without overlap is
    also one of the view with it, and weights for one serve the other.
    """

    def __init__(self, view: View, width: int) -> None:
        """Build a convolution for each halving from the patch to a pixel."""
        super().__init__()
        halvings, strides = view.patch.bit_length() - 1, view.cell.bit_length() - 1
        widths = [3, *(max(width >> (halvings - 1 - i), 16) for i in range(halvings - 1)), width]
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(itertools.pairwise(widths)):
            stride = 2 if index < strides else 1
            layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.GELU()]
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
    decoder once for each instruction about it. With history the encoder still runs once for each
    frame, and further layers mix the tokens of all frames. The decoder's sequence is the state,
    the words, and the action tokens, each of which is predicted from all before it (RT-2, Brohan
    et al. 2023, section 3.2), or all at once from queries in their places.
    """

    state_mean: Tensor
    state_std: Tensor
    valid: Tensor | None

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
        if config.history > 1:
            self.frame = nn.Parameter(torch.randn(config.history, 1, width) * 0.02)
        self.history_encoder = nn.ModuleList(
            EncoderBlock(width, heads, ratio, backend, options)
            for _ in range(config.history_layers)
        )
        self.memory_norm = nn.LayerNorm(width)
        self.register_buffer('state_mean', torch.zeros(config.state_size))
        self.register_buffer('state_std', torch.ones(config.state_size))
        self.state = nn.Sequential(
            nn.Linear(config.state_size, width), nn.GELU(), nn.Linear(width, width)
        )
        self.words = nn.Embedding(len(config.vocabulary), width)
        self.tokens = nn.Embedding(config.symbols + 1, width)  # the last one starts the action
        length = config.prompt + config.actions
        self.position = nn.Parameter(torch.randn(1, 1, length, width) * 0.02)
        self.decoder = nn.ModuleList(
            DecoderBlock(width, heads, ratio) for _ in range(config.decoder_layers)
        )
        self.head_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.symbols)
        vector = config.coding == 'vector'
        valid = valid_symbols(config.actions, config.digits) if vector else None
        self.register_buffer('valid', valid, persistent=False)
        for embedding in (self.words, self.tokens):
            nn.init.normal_(embedding.weight, std=0.5)

    @property
    def decoder_blocks(self) -> list[DecoderBlock]:
        """The decoder as a plain list."""
        return cast('list[DecoderBlock]', list(self.decoder))

    def encode(self, images: Sequence[Tensor]) -> Tensor:
        """
        Return the memory ``(B, N, C)``, with history that of ``F`` frames ``(B, F N, C)``.

        :param images: for each view uint8 ``(B, H, W, 3)``, with history ``(B, F, H, W, 3)``, the
            oldest frame first.
        """
        count = self.config.history
        if count == 1:
            return self.join([self.encode_frame(images)])
        tokens = self.encode_frame([image.flatten(0, 1) for image in images])  # (B F, N, C)
        return self.join(tokens.reshape(-1, count, *tokens.shape[1:]).unbind(dim=1))

    def encode_frame(self, images: Sequence[Tensor]) -> Tensor:
        """Return the tokens ``(B, N, C)`` of one uint8 image ``(B, H, W, 3)`` a view."""
        pairs = zip(self.stems, images, strict=True)
        x = torch.cat([stem(image) for stem, image in pairs], dim=1)
        for block in self.encoder:
            x = block(x)
        return x

    def join(self, frames: Sequence[Tensor]) -> Tensor:
        """Return the memory ``(B, F N, C)`` of the tokens of all frames, the oldest first."""
        x = frames[0]
        if self.config.history > 1:
            x = (torch.stack(list(frames), dim=1) + self.frame).flatten(1, 2)
        for block in self.history_encoder:
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
        start = words.new_full((*words.shape[:2], 1), self.config.symbols)
        known = self.tokens(torch.cat((start, actions), dim=-1))
        x = torch.cat((state_token, self.words(words), known), dim=2)
        embedded: Tensor = x + self.position[:, :, : x.shape[2]]
        return embedded

    def teach(self, state: Tensor, words: Tensor, actions: Tensor) -> Tensor:
        """
        Return the decoder's input when the true tokens are ``(B, I, T)``.

        Each place sees those before its own; with parallel generation none sees any.
        """
        known = actions[..., :-1]
        if self.config.generation == 'parallel':
            known = torch.full_like(known, self.config.symbols)
        return self.embed(state, words, known)

    def forward(
        self, images: Sequence[Tensor], state: Tensor, words: Tensor, actions: Tensor
    ) -> Tensor:
        """Return logits ``(B, I, T, symbols)`` when ``(B, I, T)`` are the true tokens."""
        memory = self.encode(images)
        x = self.teach(state, words, actions)
        for block in self.decoder_blocks:
            x = block(x, block.memory_cache(memory))
        return self.logits(x)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of the positions that predict an action token."""
        predicted: Tensor = self.head(self.head_norm(x[..., self.config.prompt :, :]))
        if self.valid is None:
            return predicted
        return predicted.masked_fill(~self.valid, INVALID)

    def generate(self, images: Sequence[Tensor], state: Tensor, words: Tensor) -> Generated:
        """Choose the likeliest token at each place; ``words`` is ``(B, W)``."""
        return self.decode(self.encode(images), state, words)

    def decode(self, memory: Tensor, state: Tensor, words: Tensor) -> Generated:
        """Choose the likeliest token at each place for the memory of :meth:`encode`."""
        if self.config.generation == 'parallel':
            return self._all_at_once(memory, state, words)
        caches = [block.memory_cache(memory) for block in self.decoder_blocks]
        x = self.embed(state, words[:, None], words.new_zeros(len(words), 1, 0))[:, 0]
        steps = [TokenStep(block) for block in self.decoder_blocks]
        past: list[Cache | None] = [None] * len(steps)
        chosen, distributions = [], []
        for index in range(self.config.actions):
            for layer, step in enumerate(steps):
                x, past[layer] = step(x, caches[layer], past[layer])
            logits = self.head(self.head_norm(x[:, -1]))
            if self.valid is not None:
                logits = logits.masked_fill(~self.valid[index], INVALID)
            token = logits.argmax(dim=-1)
            chosen.append(token)
            distributions.append(logits.softmax(dim=-1))
            if index + 1 < self.config.actions:
                place = self.config.prompt + index + 1
                x = self.tokens(token[:, None]) + self.position[:, 0, place]  # (B, 1, C)
        return Generated(torch.stack(chosen, 1), torch.stack(distributions, 1))

    def _all_at_once(self, memory: Tensor, state: Tensor, words: Tensor) -> Generated:
        unseen = words.new_zeros(len(words), 1, self.config.actions)
        x = self.teach(state, words[:, None], unseen)
        for block in self.decoder_blocks:
            x = block(x, block.memory_cache(memory))
        logits = self.logits(x)[:, 0]
        return Generated(logits.argmax(dim=-1), logits.softmax(dim=-1))
