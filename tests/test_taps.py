"""One-dimensional kernels against closed forms, published values, scipy and pyscsp."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from gdtriton.taps import (
    DISCRETISATIONS,
    TRUNCATION,
    difference_taps,
    exact_radius,
    kernel_taps,
    smoothing_exponent,
    tap_radius,
    transfer_factor,
)

# Tables are sums of at most a few hundred float64 terms of size <= 1.
FLOAT64 = 1e3 * np.finfo(np.float64).eps
SIGMAS = (0.3, 0.7, 1.0, 2.0, 4.0, 8.0)


def taps(sigma, order, radius, discretisation="discrete", **options):
    return kernel_taps(torch.tensor(sigma, dtype=torch.float64), order, radius, discretisation, **options)


def gaussian(x, sigma):
    return math.exp(-0.5 * (x / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)


@pytest.mark.parametrize("sigma", [*SIGMAS, 16.0])
def test_discrete_analogue_is_the_scaled_bessel_function(sigma):
    k = np.arange(-20, 21)
    assert np.abs(taps(sigma, 0, 20).numpy() - special.ive(np.abs(k), sigma**2)).max() < FLOAT64


# Stored outputs of the notebooks of T. Lindeberg's pyscsp: centre outward, four digits.
KERNELS = {
    (1.0, "sampled"): (0.3989, 0.2420, 0.0540, 0.0044),
    (1.0, "integrated"): (0.3829, 0.2417, 0.0606, 0.0060),
    (1.0, "linear-integrated"): (0.3687, 0.2408, 0.0667, 0.0077),
    (1.0, "discrete"): (0.4658, 0.2079, 0.0499, 0.0082),
    (0.7, "sampled"): (0.5699, 0.2054, 0.0096),
    (0.7, "integrated"): (0.5249, 0.2215, 0.0159),
    (0.7, "linear-integrated"): (0.4897, 0.2315, 0.0232),
    (0.7, "discrete"): (0.6500, 0.1546, 0.0188),
    (0.3, "sampled"): (1.3298, 0.0051),
    (0.3, "normalised-sampled"): (0.9923, 0.0038),
    (0.3, "integrated"): (0.9044, 0.0478),
    (0.3, "linear-integrated"): (0.7607, 0.1196),
    (0.3, "discrete"): (0.9158, 0.0412),
}


@pytest.mark.parametrize(("sigma", "discretisation"), KERNELS)
def test_published_smoothing_kernels(sigma, discretisation):
    golden = KERNELS[sigma, discretisation]
    actual = taps(sigma, 0, len(golden) - 1, discretisation)[len(golden) - 1 :]
    # Printed with four digits.
    assert (actual - torch.tensor(golden, dtype=torch.float64)).abs().max() <= 0.5e-4 + FLOAT64


# Response masks (correlation): the published kernels of odd order have the opposite sign.
DERIVATIVES = [
    ("discrete", 0, {0: 0.465759608, 1: 0.207910415, 2: 0.0499387769}, 1e-9),
    ("discrete", 2, {0: -0.515698384, 1: 0.0998775538, 2: 0.116188169}, 1e-9),
    ("discrete", 3, {1: -0.315943277, -1: 0.315943277, 2: 0.0326212311}, 1e-9),
    ("discrete", 4, {0: 1.23115188, 1: -0.599265323}, 1e-8),
    ("sampled-derivative", 1, {1: 0.24197, -1: -0.24197, 2: 0.10798}, 1e-5),
    ("sampled-derivative", 2, {0: -0.39894, 1: 0.0, 2: 0.16197}, 1e-5),
    ("integrated-derivative", 2, {0: -0.35207, 1: -0.018244, 2: 0.15046}, 1e-5),
]


@pytest.mark.parametrize(("discretisation", "order", "golden", "printed"), DERIVATIVES)
def test_published_derivative_kernels(discretisation, order, golden, printed):
    actual = taps(1.0, order, 7, discretisation)
    for position, value in golden.items():
        assert abs(float(actual[7 + position]) - value) <= printed, position


@pytest.mark.parametrize(
    ("discretisation", "sigma", "variance"),
    [
        ("discrete", 1.0, 1.0),
        ("discrete", 16.0, 256.0),
        ("integrated", 1.0, 1 + 1 / 12),
        ("integrated", 4.0, 16 + 1 / 12),
        ("linear-integrated", 1.0, 1 + 1 / 6),
        ("sampled", 4.0, 16.0),
        ("normalised-sampled", 4.0, 16.0),
    ],
)
def test_variance_of_the_kernel(discretisation, sigma, variance):
    radius = exact_radius(sigma, 0)
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = taps(sigma, 0, radius, discretisation)
    # By Poisson summation the samples differ from the integral by exp(-2 pi^2 s) (1 + ...): below 1e-6 at sigma 1.
    poisson = 0.0 if discretisation == "discrete" else 100 * math.exp(-2 * math.pi**2 * sigma**2)
    assert abs(float((kernel * x**2).sum()) - variance) < poisson + FLOAT64 * variance * radius


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_smoothing_kernels_sum_to_one_except_the_sampled(sigma, discretisation):
    total = float(taps(sigma, 0, exact_radius(sigma, 0), discretisation).sum())
    if discretisation.startswith("sampled"):
        theta = 1 + 2 * sum(math.exp(-2 * (math.pi * k * sigma) ** 2) for k in range(1, 6))
        assert abs(total - theta) < FLOAT64
    else:
        assert abs(total - 1) < FLOAT64


@pytest.mark.parametrize("order", range(7))
def test_difference_is_exact_on_polynomials(order):
    mask = difference_taps(order)
    r = len(mask) // 2
    x = torch.arange(-r, r + 1, dtype=torch.float64)
    for power in range(order + 2):  # exact one degree beyond the order, by symmetry
        assert float((mask * x**power).sum()) == (math.factorial(order) if power == order else 0.0)


@pytest.mark.parametrize("order", range(7))
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_taps_by_the_definition(order, discretisation):
    """Every discretisation from its base function by direct summation."""
    sigma, radius = 1.3, 9

    def hermite_gaussian(x, n):
        coefficients = [0.0] * n + [1.0]
        return (-1 / sigma) ** n * np.polynomial.hermite_e.hermeval(x / sigma, coefficients) * gaussian(x, sigma)

    def integral(x):
        return 0.5 * (1 + math.erf(x / (sigma * math.sqrt(2))))

    def second_integral(x):
        return x * integral(x) + sigma**2 * gaussian(x, sigma)

    bases = {
        "discrete": lambda k: special.ive(abs(k), sigma**2),
        "sampled": lambda k: gaussian(k, sigma),
        "normalised-sampled": lambda k: gaussian(k, sigma) / sum(gaussian(j, sigma) for j in range(-40, 41)),
        "integrated": lambda k: integral(k + 0.5) - integral(k - 0.5),
        "linear-integrated": lambda k: second_integral(k + 1) - 2 * second_integral(k) + second_integral(k - 1),
    }
    mask = difference_taps(order).tolist()
    reach = len(mask) // 2
    expected = []
    for k in range(-radius, radius + 1):
        if discretisation in bases:
            value = sum(m * bases[discretisation](k - d) for d, m in zip(range(-reach, reach + 1), mask, strict=True))
        elif discretisation == "sampled-derivative":
            value = (-1) ** order * hermite_gaussian(k, order)
        elif order == 0:
            value = integral(k + 0.5) - integral(k - 0.5)
        else:
            value = (-1) ** order * (hermite_gaussian(k + 0.5, order - 1) - hermite_gaussian(k - 0.5, order - 1))
        expected.append(value)
    actual = taps(sigma, order, radius, discretisation).numpy()
    # Differences of order n add 2^n numbers.
    assert np.abs(actual - np.array(expected)).max() < 2**order * FLOAT64


@pytest.mark.parametrize("order", range(5))
def test_discrete_taps_have_the_transfer_function(order):
    sigma, radius = 1.7, exact_radius(1.7, order)
    frequency = torch.linspace(0, math.pi, 17, dtype=torch.float64)
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    response = (taps(sigma, order, radius) * torch.exp(1j * frequency[:, None] * x)).sum(1)
    expected = transfer_factor(frequency, order) * torch.exp(-(sigma**2) * smoothing_exponent(frequency))
    # For odd orders cos has response lambda_n sin, so exp(i w x) has -i lambda_n.
    expected = -1j * expected if order % 2 else expected.to(torch.complex128)
    assert (response - expected).abs().max() < FLOAT64


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_sigma_derivative_is_the_gradient(order, discretisation):
    sigma = torch.tensor([0.5, 1.3, 4.0], dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda s: kernel_taps(s, order, 12, discretisation), sigma)
    expected = torch.stack([jacobian[i, :, i] for i in range(3)])
    actual = kernel_taps(sigma, order, 12, discretisation, sigma_derivative=True)
    # At sigma 1/2 the sampled derivatives are of size (n + 2)! / sigma^(n + 2).
    scale = expected.abs().amax().clamp_min(1)
    assert (actual - expected).abs().max() < FLOAT64 * scale


@given(
    sigma=st.floats(0.2, 30),
    order=st.integers(0, 6),
    discretisation=st.sampled_from(DISCRETISATIONS),
)
def test_tap_radius_is_the_smallest_that_keeps_the_kernel(sigma, order, discretisation):
    radius = tap_radius(sigma, order, discretisation)
    far = exact_radius(sigma, order)
    kernel = taps(sigma, order, far, discretisation).abs()
    x = torch.arange(-far, far + 1).abs()

    def change(r):
        return float(kernel[x > r].sum() / kernel.sum())

    assert change(radius) <= TRUNCATION * (1 + 1e-6)
    least = max((order + 1) // 2, 1)
    assert radius == least or change(radius - 1) > TRUNCATION * (1 - 1e-6)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0, 5.0])
@pytest.mark.parametrize(
    ("discretisation", "method"),
    [
        ("discrete", "discgauss"),
        ("sampled", "samplgauss"),
        ("normalised-sampled", "normsamplgauss"),
        ("integrated", "intgauss"),
        ("linear-integrated", "linintgauss"),
    ],
)
def test_smoothing_kernels_of_pyscsp(sigma, discretisation, method):
    from pyscsp.discscsp import make1Dgaussfilter

    golden = make1Dgaussfilter(sigma, method, 1e-12)
    actual = taps(sigma, 0, len(golden) // 2, discretisation).numpy()
    # pyscsp normalises the truncated kernel, cut at 1e-12.
    assert np.abs(actual - golden).max() < 2e-12


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("sigma", [0.7, 1.0, 3.0])
def test_derivative_kernels_of_pyscsp(sigma, order):
    from pyscsp.gaussders import make1Dintgaussderfilter, make1Dsamplgaussderfilter

    radius = math.ceil(8 * sigma) + order
    sign = (-1) ** order
    scale = 1 / sigma ** (order + 1)
    for name, golden in (
        ("sampled-derivative", make1Dsamplgaussderfilter(order, sigma, radius)),
        ("integrated-derivative", make1Dintgaussderfilter(order, sigma, radius)),
    ):
        actual = taps(sigma, order, radius, name).numpy()
        assert np.abs(sign * actual - golden).max() < FLOAT64 * max(scale, 1), name
