"""Products of several passes, emulated: what triton's interpreter, which ignores input_precision, cannot show.

A factor is split into parts of few bits whose products are exact in float32 or wider; what is left out decides how
good the product is. The kernels smooth with three passes of tf32 (or six of bf16), because the difference of a smoothed
image amplifies its error by about 2.8 sigma^2; three passes of bf16 are not enough.
"""

import pytest
import torch

from gdtriton.operators import axis_operator
from gdtriton.taps import difference_taps
from gdtriton.testing import relative_error, unit_roundoff

MANTISSA = {"tf32": 10, "bf16": 7}


def rounded(x, bits):
    """To `bits` bits of mantissa after the leading one, nearest, ties away from zero, as float64."""
    mantissa, exponent = torch.frexp(x)
    scaled = torch.ldexp(mantissa, torch.tensor(bits + 1))
    return torch.ldexp(torch.trunc(scaled + 0.5 * scaled.sign()), exponent - bits - 1)


def parts(x, bits, count):
    """x as a sum of `count` numbers of few bits each, what is left over dropped."""
    found = []
    for _ in range(count):
        found.append(rounded(x, bits))
        x = x - found[-1]
    return found


def product(a, b, precision):
    """A b with the passes of `precision`; sums in float64, so that only the split is seen."""
    bits = MANTISSA[precision[:4]]
    count, passes = {"tf32": (1, 1), "tf32x3": (2, 3), "bf16x3": (2, 3), "bf16x6": (3, 6)}[precision]
    left, right = parts(a, bits, count), parts(b, bits, count)
    pairs = sorted(((i, j) for i in range(count) for j in range(count)), key=lambda p: (sum(p), p))[:passes]
    return sum(left[i] @ right[j] for i, j in pairs)


def smoothed_then_differenced(sigma, precision, randn, size=112):
    """Relative error of sigma^2 d_xx L where L was smoothed with `precision`."""
    image = randn(size, 8).relu().float().double()
    smoothing = axis_operator(size, torch.tensor(sigma, dtype=torch.float64), 0, margin=1).float().double()
    golden = (smoothing @ image).unfold(0, 3, 1) @ difference_taps(2)
    actual = product(smoothing, image, precision).unfold(0, 3, 1) @ difference_taps(2)
    return float(relative_error(actual, golden, (0, 1)))


@pytest.mark.parametrize("precision", ["tf32x3", "bf16x6"])
def test_products_of_float32_quality(precision, randn):
    """Entry by entry: what is left out is below 4 u |A| |B|, less than one rounding of each factor and product."""
    a, b = randn(40, 60).float().double(), randn(60, 30).float().double()
    error = (product(a, b, precision) - a @ b).abs()
    assert bool((error <= 4 * unit_roundoff(torch.float32) * (a.abs() @ b.abs())).all())


def test_three_passes_of_bf16_are_not(randn):
    a, b = randn(40, 60).float().double(), randn(60, 30).float().double()
    error = (product(a, b, "bf16x3") - a @ b).abs()
    assert bool((error > 4 * unit_roundoff(torch.float32) * (a.abs() @ b.abs())).any())


def test_what_the_passes_mean_for_a_second_derivative(randn):
    """At sigma 16, 2.8 sigma^2 = 700 times the error of the product: digits are left with three passes of tf32 only."""
    error = {p: smoothed_then_differenced(16.0, p, randn) for p in ("tf32", "bf16x3", "tf32x3", "bf16x6")}
    assert error["tf32x3"] < 700 * 4 * unit_roundoff(torch.float32)
    assert error["bf16x6"] < 700 * 4 * unit_roundoff(torch.float32)
    assert error["bf16x3"] > 10 * error["tf32x3"]
    assert error["tf32"] > 0.05
