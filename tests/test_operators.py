"""Every exact statement about the per-axis operators P_n, and the ones that do not hold."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdtriton.operators import (
    BORDERS,
    axis_operator,
    fold,
    has_spectrum,
    inverse_factorials,
    jet_orders,
    spectral_basis,
)
from gdtriton.taps import DISCRETISATIONS, difference_taps, exact_radius, kernel_taps

# Products of matrices with row sums of at most 2^n, of a few hundred rounded terms.
EXACT = 1e3 * np.finfo(np.float64).eps
# A statement marked "no" is violated by at least this much: ten orders of magnitude above rounding.
CLEARLY = 1e-2
SIZE, VARIANCE = 24, 4.0


def P(order, variance=VARIANCE, size=SIZE, border="symmetric", **options):
    return axis_operator(size, torch.tensor(variance, dtype=torch.float64).sqrt(), order, border=border, **options)


def dP(order, variance=VARIANCE, size=SIZE, border="symmetric", **options):
    """dP_n / ds with s = sigma^2."""
    sigma = math.sqrt(variance)
    return P(order, variance, size, border, sigma_derivative=True, **options) / (2 * sigma)


def D(order, size=SIZE, border="symmetric"):
    """The n-th difference as a matrix, with the border's own extension."""
    mask = difference_taps(order)
    r = len(mask) // 2
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for i in range(size):
        for k in range(-r, r + 1):
            index, inside = fold(torch.tensor(i + k), size, border)
            matrix[i, int(index)] += mask[k + r] * float(inside)
    return matrix


def valid(order, margin, size=SIZE):
    """The n-th difference of a signal given on `margin` more pixels either side: [N, N + 2 margin]."""
    mask = difference_taps(order)
    r = len(mask) // 2
    matrix = torch.zeros(size, size + 2 * margin, dtype=torch.float64)
    for i in range(size):
        matrix[i, i + margin - r : i + margin + r + 1] = mask
    return matrix


def gap(a, b):
    return float((a - b).abs().max())


def holds(statement, a, b):
    assert gap(a, b) < EXACT, statement


def fails(statement, a, b):
    assert gap(a, b) > CLEARLY, statement


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("order", range(5))
def test_difference_of_the_smoothing(border, order):
    check = fails if border == "zero" and order else holds
    check("P_n = D_n P_0", P(order, border=border), D(order, border=border) @ P(0, border=border))


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("discretisation", [d for d in DISCRETISATIONS if not d.endswith("-derivative")])
def test_zero_border_differences_a_wider_smoothing(order, discretisation):
    r = (order + 1) // 2
    wide = P(0, border="zero", margin=r, discretisation=discretisation)
    holds("P_n = Dv_n T_ext", P(order, border="zero", discretisation=discretisation), valid(order, r) @ wide)
    wider = P(0, border="zero", margin=r + 1)
    laplacian = valid(2, 1, size=SIZE + 2 * r)
    holds("dP_n/ds = 1/2 Dv_n Lap T_ext'", dP(order, border="zero"), 0.5 * valid(order, r) @ laplacian @ wider)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("order", range(5))
def test_diffusion_on_the_input_side(border, order):
    check = fails if border == "zero" else holds
    check("dP_n/ds = 1/2 P_n D_2", dP(order, border=border), 0.5 * P(order, border=border) @ D(2, border=border))


def odd_laplacian(size=SIZE):
    """The second difference with the odd extension: corner -3."""
    matrix = D(2, size, "symmetric")
    matrix[0, 0] = matrix[-1, -1] = -3
    return matrix


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("order", range(5))
def test_diffusion_on_the_output_side(border, order):
    right = border == "circular" or (border == "symmetric" and order % 2 == 0)
    (holds if right else fails)(
        "dP_n/ds = 1/2 D_2 P_n", dP(order, border=border), 0.5 * D(2, border=border) @ P(order, border=border)
    )
    if border == "symmetric" and order % 2:
        holds("dP_n/ds = 1/2 Lo P_n", dP(order), 0.5 * odd_laplacian() @ P(order))


@pytest.mark.parametrize("border", BORDERS)
def test_semigroup_and_heat_kernel(border):
    check = fails if border == "zero" else holds
    product = P(0, 1.7, border=border) @ P(0, 2.3, border=border)
    check("P_0(a) P_0(b) = P_0(a + b)", product, P(0, 4.0, border=border))
    check("P_0 = exp(s/2 D_2)", P(0, border=border), torch.linalg.matrix_exp(VARIANCE / 2 * D(2, border=border)))


@pytest.mark.parametrize("discretisation", ["integrated", "linear-integrated"])
def test_other_discretisations_have_no_semigroup(discretisation):
    product = P(0, 1.7, discretisation=discretisation) @ P(0, 2.3, discretisation=discretisation)
    # The variances add up to 4 + 1/6 or 4 + 1/3: the centre is off by a few parts in a thousand.
    assert gap(product, P(0, 4.0, discretisation=discretisation)) > 1e-3


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("order", range(5))
def test_semigroup_with_derivatives(border, order):
    both = P(order, 4.0, border=border)
    check = fails if border == "zero" else holds
    check("P_n(a) P_0(b) = P_n(a + b)", P(order, 1.7, border=border) @ P(0, 2.3, border=border), both)
    right = border == "circular" or (border == "symmetric" and order % 2 == 0)
    check = holds if right else fails
    check("P_0(a) P_n(b) = P_n(a + b)", P(0, 1.7, border=border) @ P(order, 2.3, border=border), both)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("order", range(5))
def test_transpose(border, order):
    right = border != "symmetric" or order % 2 == 0
    check = holds if right else fails
    check("P_n^T = (-1)^n P_n", P(order, border=border).T, (-1) ** order * P(order, border=border))


@pytest.mark.parametrize("border", BORDERS)
def test_row_sums(border):
    sums = P(0, border=border).sum(1)
    one = torch.ones(SIZE, dtype=torch.float64)
    if border == "zero":
        # 0.60 at the edge at sigma 2: half of the kernel and half of its centre tap.
        edge = 0.5 + 0.5 * float(P(0, size=101, border="circular")[50, 50])
        assert abs(float(sums[0]) - edge) < EXACT
        fails("rows sum to 1", sums, one)
    else:
        holds("rows sum to 1", sums, one)
    for order in range(1, 5):
        check = fails if border == "zero" else holds
        check("derivatives of a constant vanish", P(order, border=border).sum(1), 0 * one)


def smoothing_of_odd_signals():
    """Smoothing with the odd half-sample extension, from taps."""
    radius = exact_radius(2.0, 0)
    taps = kernel_taps(torch.tensor(2.0, dtype=torch.float64), 0, radius)
    matrix = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    for i, k in itertools.product(range(SIZE), range(-radius, radius + 1)):
        copies, position = divmod(i + k, SIZE)
        column = position if copies % 2 == 0 else SIZE - 1 - position
        matrix[i, column] += taps[k + radius] * (-1) ** copies
    return matrix


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("order", range(1, 5))
def test_smoothing_and_difference_commute_per_parity_class(border, order):
    right = border == "circular" or (border == "symmetric" and order % 2 == 0)
    check = holds if right else fails
    check("P_n = P_0 D_n", P(order, border=border), P(0, border=border) @ D(order, border=border))
    if border == "symmetric" and order % 2:
        holds("P_n = Po D_n", P(order), smoothing_of_odd_signals() @ D(order))


@pytest.mark.parametrize("border", BORDERS)
def test_smoothing_commutes_with_channel_mixing(border, randn):
    image, mix = randn(3, SIZE), randn(5, 3)
    smooth = P(0, border=border)
    left, right = mix @ (image @ smooth.T), (mix @ image) @ smooth.T
    assert gap(left, right) < EXACT * float(mix.abs().sum() * image.abs().max())


def test_difference_matrices_of_the_symmetric_border():
    rows = {
        1: [[-1 / 2, 1 / 2], [-1 / 2, 0, 1 / 2], [0, -1 / 2, 0, 1 / 2]],
        2: [[-1, 1], [1, -2, 1], [0, 1, -2, 1]],
        3: [[1, -3 / 2, 1 / 2], [1 / 2, 0, -1, 1 / 2], [-1 / 2, 1, 0, -1, 1 / 2]],
        4: [[2, -3, 1], [-3, 6, -4, 1], [1, -4, 6, -4, 1]],
    }
    for order, top in rows.items():
        # sigma -> 0 leaves the difference itself.
        limit = P(order, variance=1e-30)
        for i, row in enumerate(top):
            expected = torch.zeros(SIZE, dtype=torch.float64)
            expected[: len(row)] = torch.tensor(row, dtype=torch.float64)
            holds("top rows", limit[i], expected)
            holds("bottom rows", limit[-1 - i].flip(0), (-1) ** order * expected)
    holds("D_3 = D_1 D_2", D(3), D(1) @ D(2))
    holds("D_3 = Lo D_1", D(3), odd_laplacian() @ D(1))
    fails("D_3 = D_2 D_1", D(3), D(2) @ D(1))
    holds("D_4 = D_2 D_2", D(4), D(2) @ D(2))
    fails("D_2 = D_1 D_1", D(2), D(1) @ D(1))
    inner = slice(2, -2)
    holds("D_1 D_1 = D_2 + D_4 / 4 inside", (D(1) @ D(1))[inner], (D(2) + D(4) / 4)[inner])
    fails("D_1 D_1 = D_2 + D_4 / 4 at the edge", D(1) @ D(1), D(2) + D(4) / 4)


@pytest.mark.parametrize("border", ["symmetric", "circular"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 24, 31])
@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.0, 2.0, 4.0, 8.0])
def test_band_equals_spectrum(border, size, sigma):
    for order in range(7):
        value = torch.tensor(sigma, dtype=torch.float64)
        for derivative in (False, True):
            forms = [
                axis_operator(size, value, order, border=border, form=form, sigma_derivative=derivative, margin=margin)
                for form in ("band", "spectrum")
                for margin in (0, 3)
            ]
            # dP_n / dsigma differences twice more.
            assert gap(forms[0], forms[2]) < 2 ** (order + 2 * derivative) * EXACT
            assert gap(forms[1], forms[3]) < 2 ** (order + 2 * derivative) * EXACT
            assert gap(forms[1][3 : size + 3], forms[0]) < 2 ** (order + 2 * derivative) * EXACT


def extended(size, border, far):
    positions = np.arange(-far, size + far)
    if border == "symmetric":
        return np.pad(np.eye(size), ((far, far), (0, 0)), "symmetric")
    if border == "circular":
        return np.eye(size)[positions % size]
    return np.pad(np.eye(size), ((far, far), (0, 0)))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
@pytest.mark.parametrize(("size", "sigma"), [(1, 8.0), (2, 8.0), (5, 8.0), (5, 0.7), (24, 24.0), (33, 1.5)])
def test_band_is_the_correlation_of_the_extended_image(border, discretisation, size, sigma):
    """The definition with numpy's own padding: an image far smaller than the kernel too."""
    for order in (0, 1, 2, 5):
        far = exact_radius(sigma, order)
        taps = kernel_taps(torch.tensor(sigma, dtype=torch.float64), order, far, discretisation).numpy()
        wide = extended(size, border, far)
        expected = np.stack([taps @ wide[i : i + 2 * far + 1] for i in range(size)])
        actual = axis_operator(
            size, torch.tensor(sigma, dtype=torch.float64), order, discretisation=discretisation, border=border
        )
        assert np.abs(actual.numpy() - expected).max() < 2**order * EXACT


@pytest.mark.parametrize("size", [1, 2, 5])
def test_one_reflection_is_not_enough(size):
    """Folding modulo N, or reflecting once, is clearly wrong where the kernel is wider than the image."""
    taps = kernel_taps(torch.tensor(8.0, dtype=torch.float64), 0, 100)
    once = torch.zeros(size, size, dtype=torch.float64)
    for i, k in itertools.product(range(size), range(-100, 101)):
        position = i + k
        position = -1 - position if position < 0 else 2 * size - 1 - position if position >= size else position
        if 0 <= position < size:
            once[i, position] += taps[k + 100]
    assert gap(once, P(0, 64.0, size)) > 0.05
    if size > 1:
        assert gap(P(1, 1.0, size), P(1, 1.0, size, "circular")) > CLEARLY


@pytest.mark.parametrize("sigma", [1e3, 1e6, 1e12])
@pytest.mark.parametrize("border", ["symmetric", "circular"])
def test_huge_sigma_is_the_mean(sigma, border):
    value = torch.tensor(sigma, dtype=torch.float64)
    smoothing = axis_operator(7, value, 0, border=border)
    assert gap(smoothing, torch.full_like(smoothing, 1 / 7)) < EXACT
    for order in (1, 2, 5):
        assert float(axis_operator(7, value, order, border=border).abs().max()) < EXACT


def test_huge_sigma_with_the_zero_border_is_the_kernel_itself():
    operator = P(0, 1e6, size=5, border="zero")
    x = torch.arange(5, dtype=torch.float64)
    gaussian = torch.exp(-((x[:, None] - x) ** 2) / 2e6) / math.sqrt(2e6 * math.pi)
    # The discrete analogue differs from the Gaussian by 1 / (8 s) relative at the centre.
    assert gap(operator, gaussian) < float(gaussian.max()) / 1e6


def test_gradient_in_sigma():
    sigma = torch.tensor([0.9, 3.0], dtype=torch.float64, requires_grad=True)
    for border, form in itertools.product(BORDERS, ("band", "spectrum")):
        if form == "spectrum" and not has_spectrum("discrete", border):
            continue
        assert torch.autograd.gradcheck(lambda s, b=border, f=form: axis_operator(5, s, 2, border=b, form=f), sigma)


@pytest.mark.parametrize("border", ["symmetric", "circular"])
@pytest.mark.parametrize("size", [1, 2, 3, 8, 9])
def test_basis_is_orthonormal(border, size):
    basis = spectral_basis(size, border)
    holds("C C^T = 1", basis.analysis @ basis.analysis.T, torch.eye(size, dtype=torch.float64))
    assert torch.all(basis.frequency.diff() >= 0)


@given(size=st.integers(1, 40), position=st.integers(-300, 300))
def test_fold_is_numpys_padding(size, position):
    positions = torch.tensor([position])
    padded = np.pad(np.arange(size), 300, "symmetric")
    assert int(fold(positions, size, "symmetric")[0]) == padded[position + 300]
    assert int(fold(positions, size, "circular")[0]) == position % size
    assert bool(fold(positions, size, "zero")[1]) == (0 <= position < size)


def test_jet_orders():
    assert jet_orders(2, 2) == ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0))
    assert jet_orders(1, 3, zero_order=False) == ((1,), (2,), (3,))
    names = {(0, 0, 1): "x", (0, 1, 0): "y", (1, 0, 0): "z", (0, 0, 2): "xx", (0, 1, 1): "xy", (0, 2, 0): "yy"}
    names |= {(1, 0, 1): "xz", (1, 1, 0): "yz", (2, 0, 0): "zz"}
    assert [names[a] for a in jet_orders(3, 2, zero_order=False)] == ["x", "y", "z", "xx", "xy", "yy", "xz", "yz", "zz"]
    for ndim, order in itertools.product((1, 2, 3), range(7)):
        assert len(jet_orders(ndim, order)) == math.comb(ndim + order, ndim)
    assert inverse_factorials([(0, 0), (1, 2), (3, 0)]) == (1.0, 0.5, 1 / 6)
