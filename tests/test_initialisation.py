"""What the initial gain does to the size of activations in a stack of layers without normalisation."""

import math

import pytest
import torch

from gdtriton import jet_conv, jet_orders
from gdtriton.layers import LOG_RANGE, GaussianJetConv2d, initial_gain

SIGMAS = [0.7, 1.0, 2**0.5, 2.0, 2 * 2**0.5, 4.0, 4 * 2**0.5, 8.0]


def pink_noise(size, channels, rng):
    """Unit variance, power ~ |w|^-2."""
    spectrum = torch.fft.fft2(torch.randn(2, channels, size, size, generator=rng))
    w = torch.fft.fftfreq(size)
    radius = (w[:, None] ** 2 + w**2).sqrt()
    radius[0, 0] = torch.inf
    image = torch.fft.ifft2(spectrum / radius).real
    return image / image.std()


def activations(image, order, zero_order, rng, seeds=3, layers=20, channels=24):
    """Rms of each layer and scale channel, geometric mean over seeds: [layers, S]."""
    gain, J = initial_gain(2, order, zero_order), len(jet_orders(2, order, zero_order=zero_order))
    found = []
    for _ in range(seeds):
        x = image.expand(len(SIGMAS), *image.shape)
        rms = []
        for _ in range(layers):
            c_in = x.shape[2]
            weight = torch.randn(channels, c_in, J, generator=rng) * gain / math.sqrt(c_in)
            x = jet_conv(x, weight, SIGMAS, order=order, zero_order=zero_order).relu()
            rms.append(x.flatten(1).square().mean(1).sqrt())
        found.append(torch.stack(rms).log())
    return torch.stack(found).mean(0).exp()


@pytest.mark.parametrize("order", [1, 2, 3])
def test_first_layer_is_flat_in_sigma_on_pink_noise(order, rng):
    """Scale-normalised responses to 1/f images do not depend on sigma: within 25 % from 0.7 to 8."""
    rms = activations(pink_noise(96, 3, rng), order, False, rng, seeds=4, layers=1)[0]
    assert float(rms.max() / rms.min()) < 1.25**2
    assert float(rms.min()) > 0.5
    assert float(rms.max()) < 2


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_activations_through_twenty_layers(order, rng):
    """Within a factor 2 of the first layer from sigma 1.4 up; below it differences lose a constant share per layer."""
    rms = activations(pink_noise(96, 3, rng), order, False, rng, seeds=6)
    ratio = rms / rms[0]
    assert float(ratio[:, 2:].max()) < 2
    assert float(ratio[:, 2:].min()) > 0.5
    # No constant shared by all scale channels could repair the finest: the spread over sigma is the discretisation's.
    assert float(ratio[-1, 0] / ratio[-1, 4]) < 1 / 4


def test_gain_is_the_closed_form():
    # 2-D order 1: two derivatives of variance 1/2 * Gamma(1) / (2 log 16).
    assert abs(initial_gain(2, 1, False) - math.sqrt(2 / (2 * 0.5 / (2 * LOG_RANGE)))) < 1e-14
    # 1-D order 2: Lx, and Lxx / 2 of variance Gamma(2) / (2 log 16) / 4.
    assert abs(initial_gain(1, 2, False) - math.sqrt(2 / ((1 + 0.25) / (2 * LOG_RANGE)))) < 1e-14
    # 2-D order 2: <x^4> = 3/8, <x^2 y^2> = 1/8.
    second = 2 * 0.25 * 3 / 8 + 1 / 8
    assert abs(initial_gain(2, 2, False) - math.sqrt(2 / ((1 + second) / (2 * LOG_RANGE)))) < 1e-14
    assert initial_gain(3, 2, True) == math.sqrt(2)


def test_layers_start_with_it():
    torch.manual_seed(0)
    layer = GaussianJetConv2d(64, 128, groups=2)
    expected = initial_gain(2, 2, False) / math.sqrt(32)
    # Standard error of a standard deviation of n numbers: 1 / sqrt(2 n).
    assert abs(float(layer.weight.detach().std()) / expected - 1) < 6 / math.sqrt(2 * layer.weight.numel())
    assert float(layer.bias.detach().abs().max()) == 0
