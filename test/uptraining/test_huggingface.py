"""Models of `transformers` with other attention: the same function where it must be the same."""

from __future__ import annotations

import pytest
from safetensors.torch import load_model, save_model
import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)
from uptraining.tiny_models import MAKERS, TEXT, inputs_of, make, pixels, vit, words

from sara_ros.attention import AttentionBackend, backend_names
from sara_ros.attention.window_linear import WindowLinear
from sara_ros.core import ParameterError
from sara_ros.uptraining.huggingface import BACKEND, convert_transformers

BACKENDS = ('sara', 'taylor', 'uniform')
CAUSAL = backend_names('causal')


def answer(model: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Return what the model says about the tokens that are no padding, ``(tokens, C)``."""
    output = model(**batch)
    values = output.logits if 'logits' in output else output.last_hidden_state
    real = batch.get('attention_mask', torch.ones(values.shape[:2]))
    return values[real.bool()]


@pytest.mark.parametrize('name', MAKERS)
@torch.no_grad()
def test_softmax_is_the_same_function(name):
    """Converted to softmax a model answers as before, under padding and prefix masks too."""
    batch = inputs_of(name)
    model = make(name)
    before = answer(model, batch)
    report = convert_transformers(model, 'softmax')
    assert report.converted
    torch.testing.assert_close(answer(model, batch), before, rtol=0, atol=1e-5)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('name', MAKERS)
def test_linear_backends_train(name, backend):
    """Another backend is another function, and gradients reach every one of its parameters."""
    batch = inputs_of(name)
    model = make(name)
    before = answer(model, batch).detach()
    report = convert_transformers(model, backend)
    model.train()
    after = answer(model, batch)
    assert (after - before).abs().max() > 0.01
    after.square().mean().backward()
    maps = {n: p for n, p in model.named_parameters() if f'.{BACKEND}.' in n}
    assert len(maps) == (4 * len(report.converted) if backend == 'sara' else 0)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in maps.values())


@pytest.mark.parametrize('backend', CAUSAL)
@torch.no_grad()
def test_padding_changes_nothing(backend):
    """The padded prompt of a batch is answered as it is alone, without padding."""
    model = make('llama')
    convert_transformers(model, backend)
    batch = words(padding=3)
    # Most maps see the absolute angle of RoPE, so positions must not count padding.
    batch['position_ids'] = (batch['attention_mask'].cumsum(1) - 1).clamp_min(0)
    alone = answer(model, {'input_ids': batch['input_ids'][1:, 3:]})
    torch.testing.assert_close(answer(model, batch)[-len(alone) :], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize('backend', CAUSAL)
@torch.no_grad()
def test_past_keys_change_nothing(backend):
    """Going on after past keys, by many tokens or by one, answers as the whole sequence does."""
    model = make('gemma')
    convert_transformers(model, backend)
    batch = words(length=12)
    whole = model(**batch).logits
    past = None
    for begin, end in ((0, 6), (6, 10), (10, 11), (11, 12)):
        output = model(
            input_ids=batch['input_ids'][:, begin:end],
            attention_mask=batch['attention_mask'][:, :end],
            past_key_values=past,
            use_cache=True,
        )
        past = output.past_key_values
        first = max(begin, 3)  # the second prompt has three tokens of padding
        torch.testing.assert_close(
            output.logits[:, first - begin :], whole[:, first:end], rtol=0, atol=1e-5
        )


@torch.no_grad()
def test_generation_with_a_static_cache_is_refused():
    """A cache with room for tokens to come is no list of the tokens before."""
    model = make('llama')
    convert_transformers(model, 'sara')
    options = {'max_new_tokens': 3, 'do_sample': False, 'eos_token_id': None}
    batch = words()
    slow = model.generate(**batch, **options, use_cache=False)
    assert torch.equal(model.generate(**batch, **options), slow)
    with pytest.raises(ParameterError, match='cache'):
        model.generate(**batch, **options, cache_implementation='static')


@torch.no_grad()
def test_layers_that_are_not_chosen_stay(tmp_path):
    """Only the chosen layer has a backend, and the others compute what they did."""
    batch = inputs_of('llama')
    model = make('llama')
    before = answer(model, batch)
    report = convert_transformers(model, 'sara', layers=[1])
    assert [layer.converted for layer in report.layers] == [False, True]
    assert report.layers[0].reason == 'not chosen'
    model.model.layers[1].self_attn.attention_backend = make_softmax()
    torch.testing.assert_close(answer(model, batch), before, rtol=0, atol=1e-5)


def make_softmax() -> nn.Module:
    """Return the exact backend."""
    model = make('llama')
    convert_transformers(model, 'softmax')
    return getattr(model.model.layers[1].self_attn, BACKEND)


@torch.no_grad()
def test_save_and_load(tmp_path):
    """A converted model comes back from its folder, maps and all."""
    model = make('smolvlm')
    convert_transformers(model, 'sara', {'function': 'exp', 'features': 12,
                                         'initialisation': 'random'}, layers=[0, 3])  # fmt: skip
    save_model(model, tmp_path / 'model.safetensors')
    model.config.save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    again = type(model)(config).eval()
    report = convert_transformers(again, **config.sara_ros)
    assert [layer.converted for layer in report.layers] == [True, False, False, True]
    load_model(again, tmp_path / 'model.safetensors')
    batch = inputs_of('smolvlm')
    assert torch.equal(answer(again, batch), answer(model, batch))


def test_report_says_why():
    """What stands in the way is said layer by layer, and so is what a reader must know."""
    text = convert_transformers(make('llama'), 'sara').layers[0].reason
    assert 'RoPE' in text
    assert 'cannot be folded' in text
    assert '2 query heads' in text
    assert 'RoPE' not in convert_transformers(make('llama'), 'taylor').layers[0].reason
    left = convert_transformers(make('siglip'), 'sara').left
    assert [layer.name for layer in left] == ['head.attention']
    assert 'MultiheadAttention does not use the attention interface' in left[0].reason


def test_masks_and_scores_that_linear_attention_lacks_are_reported():
    """Sliding windows and capped scores keep their exact attention, in the same model too."""
    mistral = MistralForCausalLM(MistralConfig(**TEXT, sliding_window=4)).eval()
    batch = words(padding=0)
    before = answer(mistral, batch)
    report = convert_transformers(mistral, 'sara')
    assert {layer.reason for layer in report.layers} == {'sliding window mask'}
    assert torch.equal(answer(mistral, batch), before)
    gemma2 = Gemma2ForCausalLM(Gemma2Config(**TEXT))
    reasons = [layer.reason for layer in convert_transformers(gemma2, 'sara').layers]
    assert reasons[0] == 'sliding window mask'
    assert 'softcap' in reasons[1]


@torch.no_grad()
def test_windowed_and_full_layers_in_one_model():
    """Where only some layers have a window the others are converted, and both get their mask."""
    kinds = ['sliding_attention', 'full_attention']
    gemma3 = Gemma3ForCausalLM(
        Gemma3TextConfig(**TEXT, sliding_window=4, layer_types=kinds)
    ).eval()
    batch = words()
    before = answer(gemma3, batch)
    report = convert_transformers(gemma3, 'softmax')
    assert [layer.converted for layer in report.layers] == [False, True]
    torch.testing.assert_close(answer(gemma3, batch), before, rtol=0, atol=1e-5)


def test_causal_layers_need_a_causal_form(monkeypatch):
    """A backend without one converts the vision tower only."""
    monkeypatch.setattr(WindowLinear, 'causal', AttentionBackend.causal)
    report = convert_transformers(make('smolvlm'), 'window+linear')
    assert [layer.converted for layer in report.layers] == [True, True, False, False]
    assert 'no causal form' in report.left[0].reason


def test_dropout_on_weights_is_reported_and_refused():
    """It is left out in evaluation only, where it does nothing."""
    model = vit(attention_probs_dropout_prob=0.1).eval()
    report = convert_transformers(model, 'taylor')
    assert 'no attention weights to drop' in report.layers[0].reason
    model(pixel_values=pixels(1))
    model.train()
    with pytest.raises(ParameterError, match=r'attention dropout of the model \(0.1\) to 0'):
        model(pixel_values=pixels(1))


def test_other_masks_are_refused():
    """A mask that no backend can honour stops the model; it is never left out."""
    model = make('llama')
    convert_transformers(model, 'sara')
    ids = words(padding=0)['input_ids']
    mask = torch.ones(2, 1, 9, 9, dtype=torch.bool).tril()
    model(input_ids=ids, attention_mask=mask)
    mask = mask.clone()
    mask[:, :, 5, 2] = False
    with pytest.raises(ParameterError, match='neither padding, causal nor prefix'):
        model(input_ids=ids, attention_mask=mask)


def test_bad_requests_are_named():
    """Each says what is wrong with which layer, option or model."""
    model = make('vit')
    with pytest.raises(ParameterError, match='names layer 2; the model has 2, 0 to 1'):
        convert_transformers(model, 'sara', layers=[0, 2])
    with pytest.raises(ParameterError, match='names layer -1'):
        convert_transformers(model, 'sara', layers=[-1])
    with pytest.raises(ParameterError, match="has no option 'size'"):
        convert_transformers(model, 'sara', {'size': 3})
    convert_transformers(model, 'sara', layers=[1])
    with pytest.raises(ParameterError, match=r"'layers\.1\.attention' has attention backend"):
        convert_transformers(model, 'taylor')
    with pytest.raises(ParameterError, match='model is a Linear; expected a PreTrainedModel'):
        convert_transformers(nn.Linear(2, 2), 'sara')


def test_bf16():
    """The maps take the type of the layer they are in."""
    model = make('smolvlm').to(torch.bfloat16)
    convert_transformers(model, 'sara')
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    batch = inputs_of('smolvlm')
    batch['pixel_values'] = batch['pixel_values'].bfloat16()
    assert bool(answer(model, batch).isfinite().all())
