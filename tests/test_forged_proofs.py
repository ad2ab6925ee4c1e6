"""Proofs written by an adversary: right statements with steps that prove nothing, statements emptied of meaning."""

import copy

import pytest

from gdtriton.verify.theory import check, library
from gdtriton.verify.theory.axioms import AXIOMS
from gdtriton.verify.theory.check import ProofError, check_proof, context_of
from gdtriton.verify.theory.facts import decays
from gdtriton.verify.theory.model import Statement
from gdtriton.verify.theory.normal import Kinds
from gdtriton.verify.theory.proofs import collection, proof_json
from gdtriton.verify.theory.spelling import alike
from gdtriton.verify.theory.terms import FormulaError, Work, parse, parse_relation
from tests.theory_alterations import with_statement

VALUES = {"function": "lambda u: u**2", "natural": "1", "positive": "2", "integer": "2", "real": "2", "vector": "2"}


def rejected(item, reason):
    with pytest.raises(ProofError) as caught:
        check_proof(collection([item]))
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("theorem", "axiom", "times"),
    [
        ("hermite-derivative", "hermite-zero", "1/(H(0, 2) - 1)"),
        ("hermite-derivative", "hermite-zero", "(H(0, 2) - 1)**(-3)*(H(0, 2) - 1)**2"),
        ("unit-mass", "change-of-variables", "1/(Int(u**2, u, 1) - 2*Int((2*u)**2, u, 1))"),
        ("scale-covariance", "change-of-variables", "-1/(7*Int(u**2, u, 1))"),
    ],
)
def test_a_fact_divided_by_itself_proves_nothing(theorem, axiom, times):
    """`a == b` times `(L - R)/(a - b)` closes every goal `L == R` if one may divide by what is zero."""
    item = proof_json(library.THEOREMS[theorem])
    names = {n: VALUES[k] for n, k in AXIOMS[axiom].variables.items()}
    names["N"] = "1"
    values = {n: v for n, v in names.items() if n in AXIOMS[axiom].variables}
    goals = [parse_relation(c) for c in library.THEOREMS[theorem].statement.claims]
    item["steps"] = [
        {
            "number": i,
            "shows": str(goal),
            "by": "algebra",
            "uses": [
                {"fact": axiom, "with": values, "times": f"({goal.left} - ({goal.right}))*({times})", "derive": []}
            ],
        }
        for i, goal in enumerate(goals, 1)
    ]
    rejected(item, "divides by")


@pytest.mark.parametrize("value", ["1/(y - 1)", "(y - 1)**(1/2)", "fact(0 - 1)"])
def test_a_factor_that_may_be_undefined_does_not_cancel(value):
    item = proof_json(library.THEOREMS["hermite-derivative"])
    place, use = next((i, u) for i, s in enumerate(item["steps"]) for u in s.get("uses", ()))
    forged = copy.deepcopy(item)
    forged["steps"][place]["uses"][0]["times"] = f"({use['times']})*({value})/({value})"
    rejected(forged, "not known to be")


EMPTIED = {
    "divided by zero": "({left})*(cos(pi) + 1)/(cos(pi) + 1) == {right}",
    "true except where s = x": "({left})*(s - x)/(s - x) == {right}",
    "undefined everywhere": "({left}) + exp(1/(1 + cos(pi))) - exp(1/(1 + cos(pi))) == {right}",
    "undefined times zero": "({left}) + 0*exp(1/(1 + cos(pi))) == {right}",
}


@pytest.mark.parametrize("pattern", EMPTIED.values(), ids=EMPTIED.keys())
def test_a_claim_that_is_nowhere_defined_is_not_the_claim(pattern):
    theorem = library.THEOREMS["fourier-transform"]
    relation = parse_relation(theorem.statement.claims[0])
    claim = pattern.format(left=relation.left, right=relation.right)
    own = theorem.statement
    changed = Statement(own.variables, (claim, *own.claims[1:]), own.definitions, own.given)
    rejected(with_statement(proof_json(theorem), changed), "differs")


def test_a_name_of_the_checker_captures_nothing():
    """Bound variables get names that no formula of a file can contain."""
    kinds = Kinds({"f": "function", "g": "function", "N": "natural"})
    for forged in ("bound0", "bound_0", "slot0_0"):
        assert not alike(parse("Int(f(u)*g(u), u, N)"), parse(f"Int(f(u)*g({forged}), u, N)"), kinds)
        assert not alike(parse("f(lambda u: u*u)"), parse(f"f(lambda u: u*{forged})"), kinds)
    assert alike(parse("Int(f(u)*g(u), u, N)"), parse("Int(g(v)*f(v), v, N)"), kinds)


def test_a_definition_names_what_is_declared():
    statement = Statement({"x": "real"}, ("g(x) == x",), {"g(x)": "x + hidden"})
    with pytest.raises(ProofError, match="undeclared name hidden"):
        context_of(statement, {}, frozenset())


@pytest.mark.parametrize(
    "formula",
    [
        "lambda u, u: u",
        "lambda q, /, u: q*u",
        "lambda *q, u: q*u",
        "lambda u, **q: q*u",
        "sin[1](x)",
        "Int[2](x, x, 1)",
        "cos(x, y)",
        "exp()",
        "Sum(x, x, 3)",
        "le(x)",
    ],
)
def test_what_a_reader_could_take_for_something_else_is_no_formula(formula):
    with pytest.raises(FormulaError):
        parse(formula)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("exp(-u**2)*u**3*cos(u)", True),
        ("exp(-s*u**2)", True),
        ("exp(-u**2*exp(u))", False),  # tends to 1 on the left
        ("exp(-u**2*(1 + cos(u)))", False),  # 1 at every odd multiple of pi
        ("exp(-u**2 + u**3)", False),
        ("exp(-x*u**2)", False),
        ("exp(-u**2) + u", False),
    ],
)
def test_what_vanishes_at_infinity(body, expected):
    assert decays(parse(f"lambda u: {body}"), Kinds({"s": "positive", "x": "real"})) is expected


def test_an_item_counts_once():
    item = proof_json(library.THEOREMS["unit-mass"])
    with pytest.raises(ProofError, match="'unit-mass' occurs twice"):
        check_proof(collection([item, copy.deepcopy(item)]))


def test_a_file_of_many_costly_steps_ends(monkeypatch):
    """Each formula is small enough by itself, and every step holds; the work of the whole file is bounded."""
    item = proof_json(library.THEOREMS["hermite-derivative"])
    for step in item["steps"]:
        left, _, right = step["shows"].rpartition(" == ")
        step["shows"] = f"{left} + 0*(m + y + 1)**9*(m - y + 1)**9 == {right}"
    assert check_proof(collection([item])).proved == ("hermite-derivative",)
    monkeypatch.setattr(check, "MAX_WORK", Work.done - 1)
    with pytest.raises(ProofError, match="more work than any honest proof"):
        check_proof(collection([item]))


def test_the_library_needs_a_fraction_of_the_work_that_is_allowed():
    check_proof(collection([proof_json(t) for t in library.THEOREMS.values()]))
    assert 10 * Work.done < check.MAX_WORK
    assert Work.allowed is None
