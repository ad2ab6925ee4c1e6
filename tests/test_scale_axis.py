"""Grids, lifting, shared statistics, dropout and pooling over the scale axis, read-out over space."""

import copy
import math

import pytest
import torch
from torch import nn

from gdtriton import (
    EachScale,
    GaussianJetConv2d,
    ReadOut,
    ScaleDropout,
    ScaleGrid,
    ScaleLift,
    ScalePool,
    ScaleSequential,
)
from gdtriton.scales import positive_sigma

NEG = -math.inf


def test_grid_and_lift_give_the_same_sigmas(randn):
    grid = ScaleGrid(0.7, 2**0.25, 17)
    lift = ScaleLift(grid)
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        image = randn(2, 3, 5, 4).to(dtype)
        features, sigmas = copy.deepcopy(lift).to(dtype)(image)
        assert sigmas.dtype == torch.float64
        assert sigmas.tolist() == list(grid.sigmas)
        assert features.dtype == dtype
        assert features.shape == (17, 2, 3, 5, 4)
        assert features.stride(0) == 0
        assert features.untyped_storage().data_ptr() == image.untyped_storage().data_ptr()
        assert all(torch.equal(x, image) for x in features)
    assert lift.state_dict() == {}
    assert grid == ScaleGrid(0.7, 2**0.25, 17)


def test_positive_sigma_is_computed_in_float32_or_better():
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        theta = torch.tensor([0.5], dtype=dtype, requires_grad=True)
        sigma = positive_sigma(theta)
        assert sigma.dtype == torch.promote_types(dtype, torch.float32)
        assert torch.equal(sigma, torch.exp(torch.tensor([0.5], dtype=sigma.dtype)))


def test_each_scale_shares_its_statistics(randn):
    features = 3 * randn(4, 2, 3, 5, 6) + torch.arange(4, dtype=torch.float64).view(4, 1, 1, 1, 1)
    norm = EachScale(nn.BatchNorm2d(3, affine=False)).double()
    output = norm(features)
    axes = (0, 1, 3, 4)
    mean, variance = features.mean(axes, keepdim=True), features.var(axes, keepdim=True, correction=0)
    expected = (features - mean) / (variance + 1e-5).sqrt()
    assert (output - expected).abs().max() < 1e-13
    assert (norm.module.running_mean - 0.1 * mean.flatten()).abs().max() < 1e-13
    # A scale channel on its own is not normalised to mean 0.
    assert float(output[0].mean().abs()) > 0.1


def test_each_scale_takes_any_module_and_layout(randn):
    features = randn(3, 2, 4, 6, 8).movedim(2, -1).contiguous().movedim(-1, 2)
    conv = nn.Conv2d(4, 5, 3, stride=2).double()
    output = EachScale(conv)(features)
    assert output.shape == (3, 2, 5, 2, 3)
    for s in range(3):
        assert (output[s] - conv(features[s])).abs().max() < 1e-13
    expanded = features[:1].expand(3, -1, -1, -1, -1)
    assert torch.equal(EachScale(nn.ReLU())(expanded), expanded.relu())
    assert EachScale(nn.AdaptiveAvgPool2d(1))(features).shape == (3, 2, 4, 1, 1)
    assert EachScale(nn.ReLU())(features[:, :0]).shape == (3, 0, 4, 6, 8)


class Recorder(nn.Module):
    def forward(self, features, sigmas=None):
        self.seen = sigmas
        return features


def test_sequential_hands_sigmas_to_those_that_take_them(randn):
    inner = Recorder()
    body = ScaleSequential(nn.ReLU(), ScaleSequential(inner, nn.Identity()), GaussianJetConv2d(1, 2).double())
    sigmas = torch.tensor([1.0, 2.0], dtype=torch.float64)
    features = randn(2, 1, 1, 5, 6)
    output = body(features, sigmas)
    assert inner.seen is sigmas
    assert torch.equal(output, body[2](features.relu(), sigmas))
    assert ScaleSequential(Recorder())(features) is features
    assert isinstance(body[:1], ScaleSequential)


@pytest.mark.parametrize("p", [0.3, 0.9, 0.999])
def test_dropout_statistics(p):
    torch.manual_seed(int(1000 * p))
    n_scales, batch = 4, 20000
    output = ScaleDropout(p)(torch.ones(n_scales, batch, 1))
    kept = (output == 1).squeeze(-1)
    assert bool((kept | output.isneginf().squeeze(-1)).all())
    assert bool(kept.any(0).all())
    # All would be dropped with probability p^S; then one at random is kept.
    expected = (1 - p) + p**n_scales / n_scales
    deviation = math.sqrt(expected * (1 - expected) / batch)
    assert (kept.double().mean(1) - expected).abs().max() < 6 * deviation
    alone = 1 - (1 - (1 - p)) ** n_scales
    pairs = float((kept[0] & kept[1]).double().mean())
    assert abs(pairs - (1 - p) ** 2) < 6 * math.sqrt(0.25 / batch), alone


def test_dropout_drops_whole_images_and_only_in_training(randn):
    torch.manual_seed(1)
    features = randn(5, 40, 3, 2, 2)
    dropout = ScaleDropout(0.5)
    output = dropout(features)
    dropped = output.isneginf()
    assert torch.equal(dropped.flatten(2).all(-1), dropped.flatten(2).any(-1))
    assert torch.equal(output[~dropped], features[~dropped])
    assert bool(dropped.any())
    assert dropout.eval()(features) is features
    assert ScaleDropout(0.0)(features) is features


@pytest.mark.parametrize("kind", ["max", "mean", "logsumexp"])
def test_pooling_leaves_dropped_channels_out(kind, randn):
    torch.manual_seed(2)
    features = randn(6, 30, 4).requires_grad_()
    pool = ScalePool(kind)
    output = ScaleDropout(0.7)(features)
    pooled = pool(output)
    kept = ~output.isneginf()
    assert bool((~kept).any())
    for b in range(30):
        rest = features[kept[:, b, 0], b]
        direct = {"max": rest.amax(0), "mean": rest.mean(0), "logsumexp": rest.logsumexp(0)}[kind]
        assert (pooled[b] - direct).abs().max() < 1e-14
    cotangent = randn(30, 4)
    (grad,) = torch.autograd.grad(pooled, features, cotangent)
    assert bool(torch.isfinite(grad).all())
    assert bool((grad[~kept] == 0).all())
    # Every pooling is shift equivariant: its gradients sum to the cotangent.
    assert (grad.sum(0) - cotangent).abs().max() < 1e-14


@pytest.mark.parametrize("kind", ["max", "mean", "logsumexp"])
def test_pooling_values(kind):
    features = torch.tensor([[1.0, NEG, 2.0, torch.nan], [3.0, NEG, NEG, 1.0]], dtype=torch.float64)
    expected = {
        "max": [3.0, NEG, 2.0, torch.nan],
        "mean": [2.0, NEG, 2.0, torch.nan],
        "logsumexp": [math.log(math.exp(1) + math.exp(3)), NEG, 2.0, torch.nan],
    }[kind]
    actual = ScalePool(kind)(features)
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), rtol=1e-15, atol=0, equal_nan=True)
    assert ScalePool(kind)(torch.zeros(2, 0, 3)).shape == (0, 3)


def test_max_pooling_reports_the_winning_scale(randn):
    features = randn(5, 3, 4)
    values, indices = ScalePool("max", return_indices=True)(features)
    assert torch.equal(values, ScalePool("max")(features))
    assert torch.equal(features.gather(0, indices[None])[0], values)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_read_out(ndim, randn):
    for spatial in [(5, 7, 3)[:ndim], (4, 7, 6)[:ndim], (1, 2, 1)[:ndim]]:
        features = randn(2, 3, 4, *spatial)
        axes = tuple(range(3, 3 + ndim))
        assert torch.equal(ReadOut("max")(features), features.amax(axes))
        assert torch.equal(ReadOut("mean")(features), features.mean(axes))
        middle = features
        for axis, size in zip(axes, spatial, strict=True):
            both = sorted({(size - 1) // 2, size // 2})
            middle = middle.index_select(axis, torch.tensor(both)).mean(axis, keepdim=True)
        centre = ReadOut("centre")(features)
        assert centre.shape == (2, 3, 4)
        assert (centre - middle.flatten(2)).abs().max() < 1e-15 * 10
    odd = randn(1, 1, 1, *(5,) * ndim)
    assert torch.equal(ReadOut("centre")(odd).flatten(), odd[(0, 0, 0, *(2,) * ndim)].flatten())


@pytest.mark.parametrize("kind", ["centre", "max", "mean"])
def test_read_out_is_symmetric_under_reflection(kind, randn):
    features = randn(1, 2, 3, 6, 7)
    for axes in ((3,), (4,), (3, 4)):
        assert (ReadOut(kind)(features) - ReadOut(kind)(features.flip(axes))).abs().max() < 1e-14
