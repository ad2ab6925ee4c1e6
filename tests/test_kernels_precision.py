"""Narrow layers keep their digits: relative errors of output and gradients do not grow with sigma."""

import pytest
import torch

from gdtriton import jet_conv
from gdtriton.testing import unit_roundoff

pytest.importorskip("triton")

from gdtriton.kernels import layer, mix, tables


def worst_error(border, sigma, dtype, randn):
    """Largest relative L2 error of output and gradients of features and weight, in units of rounding."""
    features, weight = randn(1, 1, 2, 17, 16).relu().to(dtype), randn(2, 2, 5).to(dtype)
    grad = randn(1, 1, 2, 17, 16).to(dtype)

    def run(x, w, g, impl):
        x, w = (y.clone().requires_grad_() for y in (x, w))
        output = jet_conv(x, w, [sigma], border=border, impl=impl)
        return output.detach(), *torch.autograd.grad(output, (x, w), g)

    actual = run(features, weight, grad, "triton")
    golden = run(features.double(), weight.double(), grad.double(), "reference")
    errors = [(x.double() - y).norm() / y.norm() for x, y in zip(actual, golden, strict=True)]
    # The interpreter cuts float32 to bfloat16 instead of rounding: twice the error.
    return float(max(errors)) / (unit_roundoff(dtype) * (2 if dtype == torch.bfloat16 else 1))


CASES = [("symmetric", 3.9, torch.bfloat16), ("zero", 8.0, torch.bfloat16), ("zero", 8.0, torch.float16)]


@pytest.mark.parametrize(("border", "sigma", "dtype"), CASES)
def test_errors_do_not_grow_with_sigma(border, sigma, dtype, randn, monkeypatch):
    """One rounding each of jet, weight, cotangent and result, where smoothing then difference would amplify one."""
    monkeypatch.setattr(tables, "SPECTRUM_FROM_SIGMA", 100.0)
    assert worst_error(border, sigma, dtype, randn) <= 4


def test_differences_of_a_cotangent_rounded_once_are_seen(randn, monkeypatch, plant_in_source):
    mutant = plant_in_source("gdtriton.kernels.mix", "jet -= high", "jet -= jet")
    monkeypatch.setattr(layer, "launch_mix", mutant.launch_mix)
    assert mix.launch_mix is not mutant.launch_mix
    assert worst_error(*CASES[1], randn) > 4
