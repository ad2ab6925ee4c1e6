import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from gdtriton import ScaleGrid
from gdtriton.verify import AnalyticImage, assert_scale_covariant, assert_scale_invariant, covariance_defect


def load(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


good = load("networks_good")
wrong = load("networks_broken")
SHAPE = (1, 1, 33, 33)
GRID = ScaleGrid(1.0, 2**0.5, 4)


def test_image_is_scaled_without_interpolation():
    image = AnalyticImage.random(2, seed=1, n_waves=4)
    small, large = image.sample((1, 1, 9, 9), 1.0, 4.5), image.sample((1, 1, 17, 17), 2.0, 4.5)
    torch.testing.assert_close(large[..., ::2, ::2], small, rtol=0, atol=1e-14)


@pytest.mark.parametrize("build", [good.Net, good.Residual])
def test_covariant_networks_pass(build):
    torch.manual_seed(0)
    net = build(GRID)
    assert_scale_covariant(net, SHAPE)
    assert_scale_invariant(net, SHAPE)
    found = covariance_defect(net, SHAPE)
    assert found.scale_factor == 2
    assert set(found.layers) == {name for name in ("first", "second", "third") if hasattr(net, name)}
    assert 0 < found.largest < 1


@pytest.mark.parametrize("build", [lambda: wrong.Fixed(GRID), lambda: good.Net(GRID, norm_power=0.5)])
def test_broken_networks_fail(build):
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match="scale covariance: layer"):
        assert_scale_covariant(build(), SHAPE)


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="module must contain a ScaleLift"):
        covariance_defect(torch.nn.ReLU(), SHAPE)
    with pytest.raises(ValueError, match="scale_factor must be ratio"):
        covariance_defect(good.Net(GRID), SHAPE, 1.7)
