"""Certified implies measured: every layer of every certified network of the corpus keeps its derived bound.

The networks are those that have a scale grid; the others loop over sigmas of their own or have jets without layers.
"""

import warnings

import pytest
import torch

import networks_good
import networks_good_more
from gdtriton import ScaleLift
from gdtriton.layers import _GaussianJetConv
from gdtriton.verify import assert_reflection_covariant, certify, covariance_defect

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Lazy modules")]


OWN_DTYPE = {"half precision in between", "rounded to integers"}
"""They narrow their features themselves, so that they cannot run in the float64 of the measurement."""


def measurable():
    """Name and entry of every right network with a grid of two scale channels or more and jet layers, odd sizes."""
    for corpus in (networks_good, networks_good_more):
        for name, entry in corpus.GOOD.items():
            torch.manual_seed(0)
            with warnings.catch_warnings(action="ignore"):
                modules = list(entry[0]().modules())
            grids = [m.grid for m in modules if isinstance(m, ScaleLift)]
            layers = any(isinstance(m, _GaussianJetConv) for m in modules)
            if (
                name not in OWN_DTYPE
                and grids
                and grids[0].n_scales > 1
                and layers
                and all(n % 2 for n in entry[1][2:])
            ):
                yield pytest.param(entry, id=f"{corpus.__name__}: {name}")


@pytest.mark.parametrize("entry", list(measurable()))
def test_certified_network_keeps_the_bounds_of_its_layers(entry):
    build, shape, canvas, _ = entry
    torch.manual_seed(0)
    network = build()
    assert certify(network, shape, canvas=canvas)
    found = covariance_defect(network, shape)
    assert found.layers
    assert all(x.excess <= 1 for row in found.alone.values() for x in row)


def test_most_of_the_corpus_is_measured_and_has_bounds():
    entries = [parameter.values[0] for parameter in measurable()]
    bounded = 0
    for build, shape, _, _ in entries:
        torch.manual_seed(0)
        bounded += bool(covariance_defect(build(), shape).alone)
    assert len(entries) >= 30
    assert bounded >= 0.8 * len(entries)


def test_reflections_hold_for_networks_without_direction():
    """The first network of the corpus, as it is written by a user."""
    build, shape, _, _ = next(iter(measurable())).values[0]
    torch.manual_seed(0)
    assert_reflection_covariant(build(), shape)
