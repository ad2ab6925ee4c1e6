"""Defects in disguise are never certified, harmless oddities never refuted."""

import pytest
import torch

import networks_broken_scale
import networks_broken_space
import networks_found as found_by_search
import networks_found_more as found_later
import networks_good_more as more
from gdtriton.verify import certify
from gdtriton.verify.network.witness import defect

IMAGE = (1, 1, 17, 17)
pytestmark = pytest.mark.slow


WITHOUT_RULE = {
    "spectrum masked",
    "copies accumulated",
    "quantile of the canvas",
    "fine against coarse scale channels",
    "compared with the index",
}
BROKEN = {**networks_broken_space.BROKEN, **networks_broken_scale.BROKEN}


@pytest.mark.parametrize("name", BROKEN)
def test_disguised_defect_is_refuted_with_a_witness(name):
    torch.manual_seed(0)
    found = certify(BROKEN[name](), IMAGE)
    if name in WITHOUT_RULE:
        assert found.verdict == "unknown"
        return
    assert found.verdict == "refuted", found.reason
    assert defect(found.to_json()["witness"]) != 0


@pytest.mark.parametrize("name", more.GOOD)
def test_right_network_in_other_words_is_certified(name):
    build, shape, canvas, verdict = more.GOOD[name]
    torch.manual_seed(0)
    found = certify(build(), shape, canvas=canvas)
    assert found.verdict == verdict, found.reason


@pytest.mark.parametrize("name", more.HARMLESS)
def test_harmless_oddity_is_never_refuted(name):
    torch.manual_seed(0)
    assert certify(more.HARMLESS[name](), IMAGE).verdict != "refuted"


FOUND = {**found_by_search.WRONG, **found_later.WRONG}


@pytest.mark.parametrize("name", FOUND)
def test_wrong_network_found_by_a_search_is_never_certified(name):
    build, shape, canvas = FOUND[name]
    torch.manual_seed(0)
    assert not certify(build(), shape, canvas=canvas)


@pytest.mark.parametrize("name", found_by_search.UNUSUAL)
def test_right_network_in_unusual_words_is_never_refuted(name):
    build, shape, canvas = found_by_search.UNUSUAL[name]
    torch.manual_seed(0)
    found = certify(build(), shape, canvas=canvas)
    assert found.verdict != "refuted", found.reason
