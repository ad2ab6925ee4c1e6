"""Real handwritten digits at any size: the continuous image behind 8 x 8 samples, sampled on a canvas of any grid.

The 1,797 digits of scikit-learn's `load_digits` (8 x 8 grey values, from the UCI set of optical recognition of
handwritten digits, E. Alpaydin and C. Kaynak 1998) come with scikit-learn: nothing is downloaded.

An image is the smooth function

    f(y, x) = sum over samples k, l of value[k, l] h(y - k) h(x - l),    h a Gaussian of RECONSTRUCTION_SIGMA samples.

An image of size S is f sampled with 8 / S samples between neighbouring pixels, its middle on the middle pixel of an
odd canvas. So images of different sizes are samples of one function, f'(x) = f(x / S), which is what a theorem about
scaling speaks about; no interpolation of an interpolation, and black outside. h falls off in frequency as a Gaussian:
at one pixel a sample its spectrum at the Nyquist frequency is exp(-0.7^2 pi^2 / 2) = 9 % of that at 0, and less at
every larger size.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

SAMPLES = 8
"""Samples along each side of a digit; size S means S / 8 pixels a sample."""

RECONSTRUCTION_SIGMA = 0.7
"""Standard deviation of h in samples: neighbouring samples blend without a ripple (0.02 % on a constant)."""

SUPPORT = 6 * RECONSTRUCTION_SIGMA
"""Where h ends, in samples: it has fallen to exp(-18) = 1.5e-8 of its peak."""

MARGIN = 1.5
"""Black samples around the 8 x 8 that a canvas keeps; the outermost samples are then 2, or 2.9 sigma, away."""


@dataclass(frozen=True)
class DigitSplit:
    """Samples and labels, split by image: whatever is made from an image stays on its side.

    Args:
        train, train_labels: [n, 8, 8] in [0, 1] and [n] int64.
        test, test_labels: The same, held out.
        train_indices, test_indices: Where in the data set the images are.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    train_indices: Tensor
    test_indices: Tensor


def load_split(n_test: int = 597, *, n_train: int | None = None, seed: int = 0) -> DigitSplit:
    """Load the digits and hold `n_test` of them out.

    Args:
        n_test: Number of held-out images, 1 .. 1796.
        n_train: Number of training images; None takes all the others.
        seed: Seed of the random order in which images are dealt to the two sides.

    Raises:
        ValueError: If the numbers do not fit the 1,797 images.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(np.asarray(data.images, np.float32)) / 16
    labels = torch.from_numpy(np.asarray(data.target, np.int64))
    available = len(images) - n_test
    n_train = available if n_train is None else n_train
    if n_test < 1 or not 1 <= n_train <= available:
        raise ValueError(
            f"load_split: n_test and n_train must be >= 1 and add up to at most {len(images)}, got {n_test}, {n_train}"
        )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    test, train = order[:n_test], order[n_test : n_test + n_train]
    return DigitSplit(images[train], labels[train], images[test], labels[test], train, test)


def canvas_for(size: float) -> int:
    """The smallest odd canvas that holds a digit of this size with its margin."""
    return 2 * math.ceil((size * (SAMPLES + 2 * MARGIN) / SAMPLES - 1) / 2) + 1


@lru_cache(maxsize=64)
def _sampling(size: float, canvas: int) -> Tensor:
    """[canvas, 8]: value of h around every sample at every pixel, float64."""
    pixel = torch.arange(canvas, dtype=torch.float64) - (canvas - 1) / 2
    position = pixel * SAMPLES / size + (SAMPLES - 1) / 2
    distance = position[:, None] - torch.arange(SAMPLES, dtype=torch.float64)
    norm = RECONSTRUCTION_SIGMA * math.sqrt(2 * math.pi)
    window = torch.exp(-(distance**2) / (2 * RECONSTRUCTION_SIGMA**2)) / norm
    # Below float32 rounding, and black exactly: products of tails would be subnormal numbers, slow on every CPU.
    return window.where(distance.abs() < SUPPORT, 0)


def enlarge(samples: Tensor, size: float, canvas: int) -> Tensor:
    """Digits of one size on an odd canvas.

    Args:
        samples: [B, 8, 8].
        size: Side of the 8 x 8 in pixels, a real number > 0.
        canvas: Side of the images, odd.

    Returns:
        [B, 1, canvas, canvas], dtype of the samples, black (0) outside.

    Raises:
        ValueError: If the canvas is even or the size is not positive.
    """
    if canvas % 2 == 0 or canvas < 1:
        raise ValueError(f"enlarge: canvas must be odd and >= 1, got {canvas}; an even one has no middle pixel")
    if not size > 0:
        raise ValueError(f"enlarge: size must be > 0, got {size}")
    rows = _sampling(float(size), canvas).to(samples.device, samples.dtype)
    return torch.einsum("yk,bkl,xl->byx", rows, samples, rows)[:, None]


def enlarge_each(samples: Tensor, sizes: Tensor, canvas: int) -> Tensor:
    """Digits on one canvas, every one of its own size: samples [B, 8, 8], sizes [B] -> [B, 1, canvas, canvas]."""
    rows = torch.stack([_sampling.__wrapped__(float(size), canvas) for size in sizes]).to(samples)
    return torch.einsum("byk,bkl,bxl->byx", rows, samples, rows)[:, None]
