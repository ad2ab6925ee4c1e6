import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdtriton.verify import certify
from gdtriton.verify.properties import networks

SHAPES = {1: (1, 1, 17), 2: (1, 1, 11, 11), 3: (1, 1, 5, 5, 5)}
pytestmark = pytest.mark.slow
FEW = settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@FEW
@given(st.data(), st.sampled_from([1, 2, 3]))
def test_random_right_network_is_certified(data, ndim):
    assert certify(data.draw(networks(ndim)), SHAPES[ndim]).verdict == "invariant"


@FEW
@given(st.data(), st.sampled_from([1, 2, 3]))
def test_random_network_with_a_defect_is_refuted(data, ndim):
    assert certify(data.draw(networks(ndim, planted=True)), SHAPES[ndim]).verdict == "refuted"
