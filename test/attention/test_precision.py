"""Every backend and form in bf16, and on a GPU where there is one."""

from __future__ import annotations

from attention.cases import CASES, WINDOW, backend, inputs, padding
import pytest
import torch

SHAPE = (2, 3, 150, 16)
FORMS = ('forward', 'masked', 'offset', 'causal', 'recurrent')
PAIRS = [(case, form) for case in CASES for form in FORMS]
PAIRS += [(case, form) for case in WINDOW for form in FORMS[:2]]
TOLERANCE = 0.04
"""Of bf16, whose numbers are 0.4 % apart, relative to the largest output."""


def compute(made, form, q, k, v):
    """Return the result of a form; two of three frames stay in the recurrent one."""
    if form == 'masked':
        return made(q, k, v, padding(SHAPE).to(q.device))
    if form != 'recurrent':
        return getattr(made, form)(q, k, v)
    state = None
    for part in (slice(0, 50), slice(50, 100), slice(100, 150)):
        state = made.absorb(state, k[:, :, part], v[:, :, part])
    return made.read(made.release(state, k[:, :, :50], v[:, :, :50]), q)


def error(result, expected) -> float:
    """Return the largest difference relative to the largest expected number."""
    return float((result.float().cpu() - expected).abs().max() / expected.abs().max())


@torch.no_grad()
@pytest.mark.parametrize(('case', 'form'), PAIRS)
def test_bf16(case, form):
    """Half the bits cost no more than a few of the last ones."""
    q, k, v = (x.detach().bfloat16() for x in inputs(SHAPE))
    made = backend(*case, SHAPE).bfloat16()
    result = compute(made, form, q, k, v)
    expected = compute(made.float(), form, q.float(), k.float(), v.float())
    assert result.dtype == torch.bfloat16
    assert error(result, expected) < TOLERANCE


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@torch.no_grad()
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 2e-3), (torch.bfloat16, 0.04)])
@pytest.mark.parametrize(('case', 'form'), PAIRS)
def test_cuda(case, form, dtype, tolerance):
    """A GPU computes what the CPU computes in f32."""
    inputs_cpu = [x.detach().to(dtype).float() for x in inputs(SHAPE)]
    made = backend(*case, SHAPE).to(dtype)
    on_gpu = compute(made.cuda(), form, *(x.to('cuda', dtype) for x in inputs_cpu))
    expected = compute(made.cpu().float(), form, *inputs_cpu)
    assert on_gpu.dtype == dtype
    assert error(on_gpu, expected) < tolerance


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize(('name', 'options'), [*CASES, *WINDOW])
def test_cuda_gradients(name, options):
    """Training works on a GPU."""
    made = backend(name, options, SHAPE).cuda()
    leaves = [x.detach().cuda().requires_grad_() for x in inputs(SHAPE)]
    out = made(*leaves)
    if made.has('causal'):
        out = out + made.causal(*leaves) + made.offset(*leaves)
    wanted = [*leaves, *made.parameters()]
    for grad in torch.autograd.grad(out.square().sum(), wanted, allow_unused=True):
        assert grad is None or grad.isfinite().all()
