"""Tables and the band form of the axis operator, in triton's interpreter against float64 matrices."""

import pytest
import torch

from gdtriton.axes import Layer
from gdtriton.kernels import tables
from gdtriton.kernels.band import launch_band
from gdtriton.operators import BORDERS, axis_operator, spectral_basis, spectral_multiplier
from gdtriton.spectral import rank
from gdtriton.taps import DISCRETISATIONS, TRUNCATION, exact_radius, kernel_taps
from gdtriton.testing import assert_within_rounding, gamma, unit_roundoff

SIGMAS = torch.tensor([0.6, 1.7, 5.0])
# The sums that normalise it take the interpreter long.
KERNELS = [pytest.param(d, marks=pytest.mark.slow) if d == "normalised-sampled" else d for d in DISCRETISATIONS]
F32 = unit_roundoff(torch.float32)


def plan_of(sizes, sigma=SIGMAS, order=2, border="symmetric", discretisation="discrete", dtype=torch.float32):
    layer = Layer(order, True, 1, 0.5, discretisation, border)
    return tables.launch_plan(sigma, tuple(sizes), layer, dtype), layer


def banded(x, axis, order, *, discretisation, border, margin, transpose, changed=False, **more):
    """P_n x, or its transpose, of the kernel, [S, B, C, *spatial]."""
    size = x.shape[3 + axis] - (2 * margin if transpose else 0)
    plan, _ = plan_of([size if k == axis else n for k, n in enumerate(x.shape[3:])], SIGMAS[: len(x)])
    table = tables.launch_taps(SIGMAS[: len(x)], size, margin, order, discretisation, border, changed=changed)
    shape = list(x.shape)
    shape[3 + axis] = size if transpose else size + 2 * margin
    out = more.pop("out", torch.empty(shape, dtype=torch.float32))
    launch_band(
        x, out, axis, table, plan.values, odd=order % 2 == 1, symmetric=border == "symmetric", margin=margin,
        transpose=transpose, **more,
    )  # fmt: skip
    return out


def operators(size, order, *, discretisation, border, margin, changed=False):
    """P_n of every sigma, [S, size + 2 margin, size] float64."""
    options = {"discretisation": discretisation, "border": border, "margin": margin, "sigma_derivative": changed}
    return torch.stack([axis_operator(size, s, order, **options) for s in SIGMAS.double()])


def peak(order, *, discretisation, changed=False, **_):
    """Twice the largest L1 norm of the taps before a border folds them."""
    taps = [
        kernel_taps(s, order, exact_radius(float(s), order), discretisation, sigma_derivative=changed)
        for s in SIGMAS.double()
    ]
    return 2 * max(float(t.abs().sum()) for t in taps)


def check(x, axis, order, *, transpose, **options):
    """Within the rounding bound of |P| on both halves of the axis, plus what truncation and the tables may change."""
    out = banded(x, axis, order, transpose=transpose, **options)
    size = x.shape[3 + axis] - (2 * options["margin"] if transpose else 0)
    matrices = operators(size, order, **options)[: len(x)]
    if transpose:
        matrices = matrices.mT
    exact = x.double().movedim(3 + axis, -1)
    golden = torch.einsum("smn,s...n->s...m", matrices, exact)
    both = matrices.abs() + matrices.abs().flip(-1)  # the even and odd parts meet every entry and its mirror image
    slack = (TRUNCATION + 8 * F32) * peak(order, **options)  # taps, rounded once; folded, they may cancel
    bound = gamma(size + 6, torch.float32) * torch.einsum("smn,s...n->s...m", both, exact.abs())
    bound = bound + slack * exact.abs().amax(-1, keepdim=True)
    assert_within_rounding(out.movedim(3 + axis, -1), golden, bound.expand_as(golden))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", KERNELS)
def test_every_kernel_in_band_form(discretisation, border, transpose, randn):
    for order in range(4):
        x = randn(3, 1, 1, 9, dtype=torch.float32)
        check(x, 0, order, discretisation=discretisation, border=border, margin=0, transpose=transpose)


@pytest.mark.parametrize("margin", [0, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [1, 2, 5, 33, *(pytest.param(n, marks=pytest.mark.slow) for n in (31, 32, 67))])
def test_sizes_around_the_blocks(size, border, margin, randn):
    """One pixel, primes, half an axis just below, at and above a block; kernels wider than the image."""
    for order in (0, 1):
        x = randn(3, 1, 1, size, dtype=torch.float32)
        check(x, 0, order, discretisation="discrete", border=border, margin=margin, transpose=False)
        x = randn(3, 1, 1, size + 2 * margin, dtype=torch.float32)
        check(x, 0, order, discretisation="discrete", border=border, margin=margin, transpose=True)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_axes_and_views(axis, dtype, randn):
    options = {"discretisation": "discrete", "border": "symmetric", "margin": 1, "transpose": False}
    x = randn(3, 2, 2, 4, 5, 3).to(dtype)
    check(x, axis, 1, **options)
    check(x.movedim(2, -1).contiguous().movedim(-1, 2), axis, 2, **options)  # channels last
    check(x[:1].expand(3, -1, -1, -1, -1, -1), axis, 0, **options)  # lifted
    wide = randn(3, 2, 4, 8, 10, 6).to(dtype)
    check(wide[:, :, ::2, ::2, 1::2, ::2], axis, 1, **options)


@pytest.mark.parametrize("discretisation", KERNELS)
def test_derivative_in_sigma(discretisation, randn):
    for border in BORDERS:
        for order in (0, 1, 2):
            x = randn(3, 1, 1, 9, dtype=torch.float32)
            options = {"discretisation": discretisation, "border": border, "margin": 0, "changed": True}
            check(x, 0, order, transpose=False, **options)


def test_factor_scale_accumulate_and_route(randn):
    options = {"discretisation": "discrete", "border": "symmetric", "margin": 0, "transpose": False}
    x, before = randn(3, 1, 1, 6, 4, dtype=torch.float32), randn(3, 1, 1, 6, 4, dtype=torch.float32)
    plain = banded(x, 0, 1, **options)
    factor = torch.tensor([[2.0, 7.0], [-1.0, 7.0], [0.5, 7.0]])
    scaled = banded(x, 0, 1, factor=factor, scale=4.0, out=before.clone(), accumulate=True, **options)
    expected = before.double() + 4 * factor[:, 0].double().view(3, 1, 1, 1, 1) * plain.double()
    assert_within_rounding(scaled, expected, 4 * F32 * (before.abs() + (scaled - before).abs()).double())
    # sigma 5 takes the spectral route: its memory is left alone.
    out = banded(x, 0, 1, out=before.clone(), check_route=True, **options)
    assert torch.equal(out[:2], plain[:2])
    assert torch.equal(out[2], before[2])


def test_sigma_that_is_none(randn):
    for sigma in (torch.nan, 0.0, -1.0, torch.inf):
        sigmas = torch.tensor([sigma])
        plan, _ = plan_of([5], sigmas)
        table = tables.launch_taps(sigmas, 5, 0, 0, "discrete", "symmetric")
        out = torch.zeros(1, 1, 1, 5)
        launch_band(randn(1, 1, 1, 5).float(), out, 0, table, plan.values, odd=False, symmetric=True)
        assert out.isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("border", ["symmetric", "circular"])
@pytest.mark.parametrize("order", [0, 2, 4])
def test_plan(order, border, dtype):
    sigma, sizes = torch.tensor([0.6, 3.0, 4.5, 17.0]), [37, 200]
    plan, layer = plan_of(sizes, sigma, order, border, dtype=dtype)
    for s, value in enumerate(sigma.tolist()):
        route, *rest = plan.values[s].tolist()
        assert route == (value >= tables.SPECTRUM_FROM_SIGMA or (2 * value) ** order > tables.AMPLIFICATION)
        expected = [rank(n, value, order, border, unit_roundoff(dtype)) for n in sizes]
        assert rest[::2] == expected
    orders = layer.orders(2)
    exact = sigma.double()[:, None] ** torch.tensor([0.5 * sum(a) for a in orders])
    exact = exact / torch.tensor([float(torch.tensor([0.0, *a]).add(1).lgamma().sum().exp()) for a in orders])
    assert_within_rounding(plan.factors, exact, 4 * F32 * exact)


@pytest.mark.parametrize("border", ["symmetric", "circular"])
def test_spectrum_table(border):
    table = tables.launch_spectrum(SIGMAS, 9, border)
    frequency = spectral_basis(9, border).frequency
    exact = torch.stack([spectral_multiplier(frequency, s, 0).flatten() for s in SIGMAS.double()])
    assert_within_rounding(table.decay, exact, 4 * F32 * exact)
    angles = torch.arange(36, dtype=torch.float64) * torch.pi / 18
    assert_within_rounding(table.cosines, angles.cos(), 2 * F32)


MUTANTS = [
    ("tables", "return tl.ceil(7 * bounded)", "return tl.ceil(bounded)"),
    ("tables", 'total *= sigma\n', 'total *= 1.0\n'),
    ("tables", "weight = tl.where((k == 0) | (2 * k == span), 1.0, 2.0)", "weight = 2.0"),
    ("band", "near_image, far_image = -1 - n - m", "near_image, far_image = -n - m"),
    ("band", "lower = odd - even", "lower = even - odd"),
    ("band", "(k != mirror)", "(k >= 0)"),
    ("band", "lower_kept = kept & (opposite != row)[:, None]", "lower_kept = kept & (opposite > row + 1)[:, None]"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "old", "new"), MUTANTS, ids=[f"{m[0]}-{i}" for i, m in enumerate(MUTANTS)])
def test_mutants(module, old, new, plant_in_source, monkeypatch, randn):
    """A planted fault turns the checks above red."""

    def checks():
        for size in (9, 68):
            for order, border in ((0, "symmetric"), (1, "symmetric"), (0, "circular")):
                x = randn(3, 1, 1, size, dtype=torch.float32)
                check(x, 0, order, discretisation="discrete", border=border, margin=1, transpose=False)
        x = randn(3, 1, 1, 9, dtype=torch.float32)
        check(x, 0, 0, discretisation="discrete", border="zero", margin=0, transpose=False, changed=True)

    checks()
    mutant = plant_in_source(f"gdtriton.kernels.{module}", old, new)
    if module == "band":
        monkeypatch.setitem(globals(), "launch_band", mutant.launch_band)
    else:
        monkeypatch.setitem(globals(), "tables", mutant)
    with pytest.raises(AssertionError):
        checks()
