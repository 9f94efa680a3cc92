"""Randomly initialised `transformers` models, small enough to test with."""

from __future__ import annotations

import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PreTrainedModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    ViTConfig,
    ViTModel,
)

IMAGE_TOKEN = 63
VOCABULARY = 64
TEXT = {
    'hidden_size': 32, 'intermediate_size': 48, 'num_hidden_layers': 2, 'num_attention_heads': 4,
    'num_key_value_heads': 2, 'head_dim': 8, 'vocab_size': VOCABULARY, 'pad_token_id': 0,
    'max_position_embeddings': 64,
}  # fmt: skip
VISION = {
    'hidden_size': 32, 'intermediate_size': 48, 'num_hidden_layers': 2, 'num_attention_heads': 4,
    'image_size': 16, 'patch_size': 4,
}  # fmt: skip
JOINT = {'image_token_id': IMAGE_TOKEN, 'pad_token_id': 0, 'scale_factor': 2}


def vit(**options) -> PreTrainedModel:
    return ViTModel(ViTConfig(**VISION, **options))


def siglip() -> PreTrainedModel:
    return SiglipVisionModel(SiglipVisionConfig(**VISION))


def llama(**options) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**{**TEXT, **options}))


def gemma() -> PreTrainedModel:
    return GemmaForCausalLM(GemmaConfig(**{**TEXT, 'num_key_value_heads': 1}))


def paligemma() -> PreTrainedModel:
    return PaliGemmaForConditionalGeneration(
        PaliGemmaConfig(
            text_config={**TEXT, 'model_type': 'gemma'},
            vision_config={**VISION, 'model_type': 'siglip_vision_model'},
            image_token_index=IMAGE_TOKEN,
            projection_dim=32,
            vocab_size=VOCABULARY,
        )
    )


def idefics3() -> PreTrainedModel:
    config = Idefics3Config(
        vision_config=VISION, text_config={**TEXT, 'model_type': 'llama'}, **JOINT
    )
    return Idefics3ForConditionalGeneration(config)


def smolvlm() -> PreTrainedModel:
    config = SmolVLMConfig(
        vision_config=VISION, text_config={**TEXT, 'model_type': 'llama'}, **JOINT
    )
    return SmolVLMForConditionalGeneration(config)


def pixels(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def words(length: int = 9, images: int = 0, padding: int = 3) -> dict[str, torch.Tensor]:
    """Return two prompts that begin with image tokens; the second is padded on the left."""
    ids = torch.randint(1, 60, (2, images + length), generator=torch.Generator().manual_seed(2))
    ids[:, :images] = IMAGE_TOKEN
    mask = torch.ones_like(ids)
    if padding:
        ids[1] = torch.cat((torch.zeros(padding, dtype=ids.dtype), ids[1, :-padding]))
        mask[1, :padding] = 0
    return {'input_ids': ids, 'attention_mask': mask}


def inputs_of(name: str) -> dict[str, torch.Tensor]:
    """Return a batch of two for the model called ``name``, with padding where it has any."""
    if name in ('vit', 'siglip'):
        return {'pixel_values': pixels(2)}
    if name in ('llama', 'gemma'):
        return words()
    if name == 'paligemma':
        batch = words(images=16)
        # Image and prompt are the prefix, the last four tokens the answer.
        kinds = torch.zeros_like(batch['input_ids'])
        kinds[:, -4:] = 1
        return {**batch, 'pixel_values': pixels(2), 'token_type_ids': kinds}
    cut = torch.ones(2, 1, 16, 16, dtype=torch.bool)
    cut[1, :, :, 8:] = False  # the second image is half as wide
    return {**words(images=4), 'pixel_values': pixels(2, 1), 'pixel_attention_mask': cut}


MAKERS = {
    'vit': vit,
    'siglip': siglip,
    'llama': llama,
    'gemma': gemma,
    'paligemma': paligemma,
    'idefics3': idefics3,
    'smolvlm': smolvlm,
}


def make(name: str, **options) -> PreTrainedModel:
    """Return the model called ``name``, always with the same weights, ready to evaluate."""
    torch.manual_seed(0)
    model = MAKERS[name](**options).eval()
    for module in model.modules():  # the usual tiny weights hide what attention does
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=module.in_features**-0.5 * 1.5)
    return model
