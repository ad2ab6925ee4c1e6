"""Hypotheses say no more than they should: what they are about satisfies them without being special."""

import pytest

from gdtriton.verify.theory import library
from gdtriton.verify.theory.calculus import instantiate
from gdtriton.verify.theory.check import context_of
from gdtriton.verify.theory.facts import admits
from gdtriton.verify.theory.normal import Kinds, cleared, normal
from gdtriton.verify.theory.terms import add, negate, parse

FIELDS = [t for t in library.THEOREMS.values() if "F is a field" in t.statement.given]


@pytest.mark.parametrize("theorem", FIELDS, ids=lambda t: t.id)
def test_the_fields_of_an_arbitrary_image_satisfy_the_hypothesis(theorem):
    """F' is the field of the image scaled by one factor: a hypothesis for all factors would leave constants only."""
    context = context_of(theorem.statement, {}, frozenset())
    relation = context.read_relation(theorem.statement.given["F is a field"].formula)
    names = theorem.statement.variables
    factor = "S" if "S" in names else "r**j"
    weight = "w" if "w" in names else "0"
    values = {
        "F": parse("lambda x, s: x**2 + 3*s"),
        "Fp": parse(f"lambda x, s: ({factor})**({weight})*((x/({factor}))**2 + 3*s/({factor}))"),
    }
    found = instantiate(relation, values, context.kinds)
    assert not cleared(normal(add(found.left, negate(found.right)), context.kinds))
    assert {"x", "s"} <= set(theorem.statement.given["F is a field"].for_all) <= names.keys() - {"S", "r", "j"}


def test_the_bound_per_frequency_covers_the_highest_frequency():
    """At w = pi the symbol of an odd difference, sin(w) (2 - 2 cos w)^k, is zero."""
    kind = library.THEOREMS["closed-form-bound"].statement.variables["L"]
    assert admits(parse("0"), kind, Kinds())
