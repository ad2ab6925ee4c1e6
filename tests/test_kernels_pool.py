"""Scale pooling on triton kernels, run by the interpreter against plain PyTorch in float64."""

import math

import pytest
import torch

from gdtriton import ScalePool, checks, scale_axis
from gdtriton.testing import assert_within_rounding, gamma, output_rounding, unit_roundoff

pytest.importorskip("triton")

KINDS = ("max", "mean", "logsumexp")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
NAN, INF = math.nan, math.inf


@pytest.fixture
def on_kernels(monkeypatch):
    """ScalePool on the kernels, float32 and narrower."""
    monkeypatch.setattr(scale_axis, "kernels_run", lambda x: x.dtype in checks.KERNEL_DTYPES)


def pooled(kind, features):
    return torch.ops.gdtriton.scale_pool(features, kind)[0]


def bound(kind, features, golden):
    """Elementwise bound of the float32 arithmetic.

    Max does none. Mean: a sum of S terms and a division. Log sum exp with u the unit roundoff, D_i = top - x_i: a
    weight is a product of at most S exponentials whose arguments add up to D_i, each with relative error (2 |d| + 4) u
    (rounded difference and scaling by log2(e), 2 units of the exponential, one of the product), so the sum of weights
    has relative error 5 S u + 2 max(D e^-D) S u + S u <= 7 S u. Its logarithm has that absolute error and 2 units of
    its own value, which is at most log S <= S; adding the maximum rounds the result once.
    """
    exact = features.detach().double()
    if kind == "max":
        return torch.zeros_like(golden)
    n_scales = len(features)
    if kind == "mean":
        kept = ~exact.isneginf()
        mean = torch.where(kept, exact, 0).abs().sum(0) / kept.sum(0).clamp_min(1)
        return gamma(n_scales + 1, torch.float32) * mean
    return gamma(9 * n_scales, torch.float32) + unit_roundoff(torch.float32) * golden.abs()


def grad_bound(kind, features, grad, golden_values, golden):
    """Max copies; mean divides once; a softmax weight has the error of its exponent and of the exponential."""
    if kind == "max":
        return torch.zeros_like(golden)
    if kind == "mean":
        return unit_roundoff(torch.float32) * golden.abs()
    distance = (features.detach().double() - golden_values).abs().nan_to_num(posinf=0)  # dropped: the weight is 0
    relative = bound(kind, features, golden_values) + gamma(6, torch.float32) * (1 + distance)
    return relative * golden.abs()


def rounding(kind, golden, dtype):
    """One rounding at the store; the interpreter cuts float32 to bfloat16 instead of rounding: twice as much."""
    if kind == "max":
        return 0
    return output_rounding(golden, dtype) * (2 if dtype == torch.bfloat16 else 1)


def check(kind, features, grad=None, dropped=()):
    """Values, and gradients where a cotangent is given, against float64; -inf in some scale channels."""
    features = features.clone(memory_format=torch.preserve_format) if dropped else features
    for s in dropped:
        features[s] = -INF
    features = features.detach().requires_grad_()
    values = pooled(kind, features)
    exact = features.detach().double().requires_grad_()
    golden = ScalePool(kind)(exact)
    limit = bound(kind, features, golden.detach()) + rounding(kind, golden.detach(), features.dtype)
    assert values.dtype == features.dtype
    assert values.stride() == torch.empty_like(features[0]).stride()
    assert_within_rounding(values.detach(), golden.detach(), limit)
    if grad is None:
        return
    actual = torch.autograd.grad(values, features, grad)[0]
    expected = torch.autograd.grad(golden, exact, grad.double())[0]
    limit = grad_bound(kind, features, grad, golden.detach(), expected) + rounding(kind, expected, features.dtype)
    assert actual.dtype == features.dtype
    assert_within_rounding(actual, expected, limit)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n_scales", [1, 2, 4, 5, 8, 17, 33])
def test_pooling_agrees_with_float64(kind, dtype, n_scales, randn):
    shape = (3, 2, 5, 7)
    features, grad = 8 * randn(n_scales, *shape), randn(*shape)
    check(kind, features.to(dtype), grad.to(dtype), dropped=range(1, n_scales, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1), (1023,), (1024,), (1025,), (2, 3, 23, 29), (3, 0, 2)], ids=str)
def test_sizes_around_the_block(kind, shape, randn):
    check(kind, randn(3, *shape, dtype=torch.float32), randn(*shape, dtype=torch.float32))


VIEWS = {
    "channels last": lambda x: x.contiguous().movedim(2, -1).contiguous().movedim(-1, 2),
    "scales inside": lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0),
    "transposed": lambda x: x.transpose(3, 4),
    "every other": lambda x: x[:, :, :, ::2, 1::3],
    "cropped": lambda x: x[..., 1:-1, 2:],
    "one scale for all": lambda x: x[:1].expand(5, *x.shape[1:]),
    "expanded channel": lambda x: x[:, :, :1].expand(-1, -1, 4, -1, -1),
    "shuffled": lambda x: x.permute(3, 4, 0, 2, 1),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", VIEWS)
def test_any_strides_of_stack_and_cotangent(kind, name, randn):
    view = VIEWS[name](randn(5, 2, 3, 8, 11, dtype=torch.float32))
    for grad in (
        randn(*view.shape[1:], dtype=torch.float32),
        randn(*view.shape[:0:-1], dtype=torch.float32).permute(3, 2, 1, 0),
        randn(1, dtype=torch.float32).expand(view.shape[1:]),
    ):
        check(kind, view, grad)


def test_offsets_are_64_bit(randn):
    """Scale channel 2 begins 2^31 elements behind scale channel 0, with as many before it; hardly a page is touched."""
    before = torch.utils.deterministic.fill_uninitialized_memory
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        memory = torch.empty(2**32 + 3, dtype=torch.float16)
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = before
    view = memory.as_strided((3, 3), (2**30, 1), 2**31)
    view.copy_(randn(3, 3))
    for kind in KINDS:
        check(kind, view)


SPECIAL = [
    [3, -INF, 2, NAN, 5, INF, INF, -INF, 0, NAN, 3, NAN],
    [3, -INF, -INF, 1, 5, 1, INF, NAN, 0, NAN, 3, INF],
    [3, -INF, -INF, 1, 2, -INF, 4, 1, 0, 1, -INF, -INF],
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_special_values_are_those_of_plain_pytorch(kind, dtype):
    plain = torch.tensor(SPECIAL, dtype=dtype).requires_grad_()
    features = plain.detach().clone().requires_grad_()
    values, golden = pooled(kind, features), ScalePool(kind)(plain)
    grad = torch.tensor([2.0] * 11 + [NAN], dtype=dtype)
    actual = torch.autograd.grad(values, features, grad)[0]
    expected = torch.autograd.grad(golden, plain, grad)[0]
    # Both round what is finite: two results in the dtype of the stack.
    for x, y in ((values.detach(), golden.detach()), (actual, expected)):
        assert torch.equal(x.isnan(), y.isnan())
        finite = y.isfinite()
        assert torch.equal(x[~finite & ~y.isnan()], y[~finite & ~y.isnan()])
        assert bool(((x - y)[finite].abs() <= 8 * unit_roundoff(dtype) * y[finite].abs()).all())


def test_the_first_of_equal_scale_channels_wins(on_kernels):
    features = torch.tensor([[1.0, 2, NAN, -INF], [1, 3, NAN, -INF], [1, 3, 0, -INF]], requires_grad=True)
    values, indices = ScalePool("max", return_indices=True)(features)
    assert indices.dtype == torch.int64
    assert indices.tolist() == [0, 1, 0, 0] == features.detach().max(0).indices.tolist()
    grad = torch.autograd.grad(values, features, torch.ones(4))[0]
    assert grad.tolist() == [[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_are_exact(kind, randn):
    """Gradient of a function of the gradient, in the stack and in the cotangent."""
    features, weights = randn(5, 3, 4), randn(5, 3, 4)
    features[1, 0] = -INF
    results = []
    for dtype, function in ((torch.float64, ScalePool(kind)), (torch.float32, lambda x: pooled(kind, x))):
        x, grad = (y.detach().clone().to(dtype).requires_grad_() for y in (features, features[0]))
        first = torch.autograd.grad(function(x), x, grad, create_graph=True)[0]
        total = (first * weights.to(dtype)).square().sum()
        results.append(torch.autograd.grad(total, (x, grad), materialize_grads=True))
    for golden, actual in zip(*results, strict=True):
        # Softmax weights and cotangents of order one through a dozen operations and sums over S.
        scale = golden[golden.isfinite()].abs().max()
        assert torch.equal(actual.isfinite(), golden.isfinite())
        assert bool(((actual - golden)[golden.isfinite()].abs() <= gamma(200, torch.float32) * scale).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_operators_keep_their_contracts(kind, requires_grad, randn):
    for dtype in (torch.float32, torch.bfloat16):
        for view in (randn(5, 2, 3, 4), randn(4, 3, 2, 5).movedim(-1, 0)):
            features = view.to(dtype).requires_grad_(requires_grad)
            torch.library.opcheck(torch.ops.gdtriton.scale_pool.default, (features, kind))
            values, saved = torch.ops.gdtriton.scale_pool(features.detach(), kind)
            stack = features if kind == "logsumexp" else None
            saved = values.float() if kind == "logsumexp" else saved
            arguments = (torch.ones_like(values).requires_grad_(requires_grad), saved, stack, 5, kind)
            torch.library.opcheck(torch.ops.gdtriton.scale_pool_backward.default, arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_compiles_once_for_all_sizes(kind, randn, on_kernels, reset_dynamo):
    def loss(features):
        return ScalePool(kind)(features).square().sum()

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True, dynamic=True)
    for index, shape in enumerate([(5, 2, 3, 7, 11), (4, 3, 2, 9, 8), (6, 7, 5, 3, 4)]):
        features = randn(*shape, dtype=torch.float32).requires_grad_()
        with torch._dynamo.config.patch(error_on_recompile=index > 0):
            actual = torch.autograd.grad(compiled(features), features)[0]
        assert torch.equal(actual, torch.autograd.grad(loss(features), features)[0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n_scales", [1, 8, 40])
def test_bytes_are_those_of_the_tensors(dtype, n_scales, randn):
    from gdtriton.kernels.pool import pool_cost

    features = randn(n_scales, 6, 5).to(dtype)
    for kind in KINDS:
        values, saved = torch.ops.gdtriton.scale_pool(features, kind)
        assert pool_cost(kind, n_scales, 30, dtype.itemsize).bytes == sum(x.nbytes for x in (features, values, saved))
        read = (saved if kind != "logsumexp" else values.float(), *((features,) if kind == "logsumexp" else ()))
        moved = sum(x.nbytes for x in (features, values, *read))
        assert pool_cost(kind, n_scales, 30, dtype.itemsize, backward=True).bytes == moved


MUTANTS = {
    "last of equals": ("x > best", "x >= best"),
    "NaN loses": ("| ((x != x) & (best == best))", ""),
    "scale channels counted from 1": ("tl.where(wins, first + u, index)", "tl.where(wins, first + u + 1, index)"),
    "no mask over scales": ("inside & (s < n_scales), other", "inside, other"),
    "outside is zero": ('other=float("-inf")', "other=0.0"),
    "one element short": ("inside = i < numel", "inside = i < numel - 1"),
    "sizes swapped": ("index % sizes[d] * strides[d]", "index % sizes[d] * strides[NDIM - 1 - d]"),
    "scale stride of a dense stack": ("pointer + s * stride_s", "pointer + s * 210"),
    "narrow scale offset": ("s = offset * 0 + s", "s = (offset * 0 + s).to(tl.int32)"),
    "sum starts anew": ("total += tl.where(kept, x, 0.0)", "total = tl.where(kept, x, 0.0)"),
    "dropped channels count": ("tl.where(kept, 1.0, 0.0)", "1.0"),
    "bit of the first of a group": ("one << (bit + u)", "one << bit"),
    "second word over the first": ("        kept_ptr += numel\n    mean", "    mean"),
    "no rescaling": ("total * ratio + 1.0", "total + 1.0"),
    "equal infinities": ("tl.where(x == top, 1.0, tl.exp(-tl.abs(x - top)))", "tl.exp(-tl.abs(x - top))"),
    "gradient to every scale": ("tl.where(index == s, grad, 0.0)", "grad"),
    "mean divides by S": ("tl.maximum(count, 1).to(tl.float32))", "n_scales)"),
    "softmax without its sum": ("tl.exp(x - exact)", "tl.exp(x - exact + 0.001)"),
    "last scale not written": ("mask=inside & (s < n_scales))", "mask=inside & (s < n_scales - 1))"),
    "cotangent as dense": ("grad_ptr + _offsets(i, sizes, strides_grad, NDIM)", "grad_ptr + i"),
}


def check_everything(randn):
    padded = randn(44, 2, 3, 5, 7, dtype=torch.float32)  # what lies behind the stack belongs to it
    special = torch.tensor(SPECIAL)
    for kind in KINDS:
        for n_scales in (3, 37):
            features = padded.clone()[:n_scales].transpose(2, 4)
            grad = randn(7, 5, 2, 3, dtype=torch.float32).permute(2, 0, 1, 3)
            check(kind, features, grad, dropped=(1, 2)[: n_scales // 9])
            check(kind, features[:, :, :2], randn(2, 2, 5, 3, dtype=torch.float32))
        test_special_values_are_those_of_plain_pytorch(kind, torch.float32)
    index = torch.ops.gdtriton.scale_pool(special[:, :3], "max")[1]
    assert torch.equal(index.long(), special[:, :3].max(0).indices)
    test_offsets_are_64_bit(lambda *shape: torch.ones(shape))


def test_the_kernels_themselves_pass(randn):
    check_everything(randn)


@pytest.mark.parametrize("name", MUTANTS)
def test_planted_faults_turn_the_checks_red(name, plant_in_source, randn):
    plant_in_source("gdtriton.kernels.pool", *MUTANTS[name])
    with pytest.raises(AssertionError):
        check_everything(randn)
