"""Every kind of alteration on every proof and refutation.

The checker must reject each alteration that changes the meaning. Whether one does is decided without the checker:
where an altered file is accepted, sympy has to confirm that the altered piece equals the original one.
"""

import copy
import itertools
from functools import partial

import pytest
import sympy

import theory_alterations as alter
from gdtriton.verify.theory import library
from gdtriton.verify.theory.calculus import definitions_from
from gdtriton.verify.theory.check import check_refutation, check_theorem, lambda_of
from gdtriton.verify.theory.model import Statement, Use
from gdtriton.verify.theory.proofs import refutation_json
from gdtriton.verify.theory.prover import Prover
from gdtriton.verify.theory.rules import ProofError
from gdtriton.verify.theory.symbolic import Reader, vanishes
from gdtriton.verify.theory.terms import Term, parse, parse_relation
from gdtriton.verify.theory.witness import evaluate_witness

ITEMS, STATEMENTS = alter.ITEMS, alter.STATEMENTS
QUICK, THOROUGH = 1, 6  # alterations of each kind of each proof, spread evenly over its places


def _accepted(item):
    established = {name: STATEMENTS[name] for name in item["lemmas"] if name in STATEMENTS}
    try:
        check_theorem(item, established)
    except ProofError:
        return False
    return True


def _same_formula(theorem_id, old, new):
    """Sympy: both sides of a relation are multiplied by one number other than zero, or nothing has changed."""
    if old is None or "le(" in new or "max(" in new or "Max(" in new:
        return False
    reader = Prover(library.THEOREMS[theorem_id], library.THEOREMS).reader
    try:
        before, after = parse_relation(old), parse_relation(new)
    except ValueError:
        return vanishes(_read(reader, parse(old)) - _read(reader, parse(new)))
    if before.op != after.op:
        return False
    a, b, c, d = (reader.read(t) for t in (before.left, before.right, after.left, after.right))
    for ratio in (1, -1, 2, sympy.Rational(1, 2), 3, sympy.Rational(3, 2), sympy.Rational(2, 3), sympy.Rational(4, 3)):
        if (ratio > 0 or before.op == "==") and vanishes(ratio * a - c) and vanishes(ratio * b - d):
            return True
    return False


def _read(reader, term):
    if term.head != "lam":
        return reader.read(term)
    return reader.callable(term, {}, 0)(*(sympy.Symbol(f"slot_{n}", real=True) for n in term.data))


def _same_use(theorem_id, use, change):
    """Sympy: what the altered use contributes is what the original contributes."""
    where, _, new = change
    prover = Prover(library.THEOREMS[theorem_id], library.THEOREMS)
    if where == "times":
        return vanishes(prover.reader.read(parse(use["times"])) - prover.reader.read(parse(new)))
    first, second = (
        prover._instance(Use(use["fact"], values, use["times"], tuple(use["derive"]))) for values in (use["with"], new)
    )
    return vanishes((first[0] - first[1]) - (second[0] - second[1]))


def _meaning_kept(item, position, change):
    where = change[0] if change else None
    if where == "shows":
        return _same_formula(item["id"], change[1], change[2])
    if where in ("times", "with"):
        return _same_use(item["id"], item["steps"][position]["uses"][change[1]], change)
    if where == "swapped":
        first, second = ({k: v for k, v in s.items() if k not in ("number", "shows")} for s in change[1:])
        return first == second and _same_formula(item["id"], change[1]["shows"], change[2]["shows"])
    return False


def alterations(item, limit):
    """All alterations as (kind, altered item, whether the meaning is kept, to be called); `limit` of each kind."""
    place = limit and -(-limit // 4)
    found = []
    for kind, altered, old, new in alter.statement_alterations(item, place):
        found.append((kind, altered, partial(_same_formula, item["id"], old, new)))
    for kind, altered, position, change in alter.step_alterations(item, place):
        found.append((kind, altered, partial(_meaning_kept, item, position, change)))
    found += [(kind, altered, lambda: False) for kind, altered in alter.file_alterations(item)]
    return alter.spread([f for f in found if f[1] is not None], limit)


def run_alterations(item, limit):
    """Kinds tried with their number, and the kinds with what was wrongly accepted."""
    tried, wrong = {}, []
    for kind, altered, kept in alterations(item, limit):
        tried[kind] = tried.get(kind, 0) + 1
        if _accepted(altered) and not kept():
            wrong.append((item["id"], kind, altered["statement"]["claims"], altered["steps"]))
    return tried, wrong


ALWAYS = {
    "changed number",
    "changed sign",
    "changed symbol",
    "changed operator",
    "dropped step",
    "repeated step",
    "changed rule",
    "statement of another theorem",
    "assumption removed",
    "assumption added",
}


@pytest.mark.parametrize("name", ITEMS)
def test_every_kind_of_alteration_of_a_proof_is_rejected(name):
    tried, wrong = run_alterations(ITEMS[name], QUICK)
    assert wrong == []
    assumed = STATEMENTS[name].variables or ITEMS[name]["assumptions"] or ITEMS[name]["lemmas"]
    assert tried.keys() >= (ALWAYS if assumed else ALWAYS - {"assumption removed"})


@pytest.mark.slow
@pytest.mark.parametrize("name", ITEMS)
def test_many_alterations_of_each_kind_of_a_proof_are_rejected(name):
    _, wrong = run_alterations(ITEMS[name], THOROUGH)
    assert wrong == []


def test_every_kind_occurs_somewhere():
    missing = {
        "changed instantiation",
        "changed fact",
        "dropped fact",
        "swapped steps",
        "trivial claim",
        "dropped claim",
    }
    for item in ITEMS.values():
        for kind, *_ in itertools.chain(alter.step_alterations(item, 1), alter.statement_alterations(item, 1)):
            missing.discard(kind)
            if not missing:
                return
    assert not missing


def _commuted(term):
    """Sums and products in reverse order, and a product of sums multiplied out."""
    if term.head not in ("add", "mul", "pow"):
        return term
    args = tuple(_commuted(a) for a in term.args)
    if term.head == "pow":
        return Term("pow", None, args)
    if term.head == "mul":
        sums = [a.args if a.head == "add" else (a,) for a in args]
        if 1 < len(list(itertools.product(*sums))) < 20:
            return Term("add", None, tuple(Term("mul", None, p) for p in itertools.product(*sums)))
    return Term(term.head, None, args[::-1])


@pytest.mark.parametrize("name", ITEMS)
def test_an_equivalent_rewriting_is_still_a_proof(name):
    item = copy.deepcopy(ITEMS[name])
    statement = STATEMENTS[name]
    claims = []
    for claim in statement.claims:
        r = parse_relation(claim)
        claims.append(f"{_commuted(r.left)} {r.op} {_commuted(r.right)}")
    item = alter.with_statement(
        item, Statement(statement.variables, tuple(claims), statement.definitions, statement.given)
    )
    for step in item["steps"]:
        r = parse_relation(step["shows"])
        step["shows"] = f"{_commuted(r.left)} {r.op} {_commuted(r.right)}"
        for use in step.get("uses", []):
            use["times"] = str(_commuted(parse(use["times"])))
        if step["by"] == "algebra":
            step["uses"].reverse()
    check_theorem(item, {n: STATEMENTS[n] for n in item["lemmas"]})


REFUTED = {r.id: refutation_json(r, evaluate_witness(r.statement, r.witness)) for r in library.REFUTATIONS.values()}


def _sympy_refutes(item, witness):
    """Sympy: the hypotheses hold at the witness, and the recorded claim has the recorded values there."""
    statement = library.REFUTATIONS[item["id"]].statement
    reader = Reader(statement.variables, _definitions(statement))
    functions, values = {}, {}
    for n, text in witness.items():
        if statement.variables[n] == "function":
            functions[n] = reader.callable(parse(text), {}, 0)
        else:
            values[reader.symbol(n)] = reader.read(parse(text))
    for given in statement.given.values():
        relation = parse_relation(given.formula)
        free = {reader.symbol(n) for n in given.for_all}
        at = {k: v for k, v in values.items() if k not in free}
        if not vanishes((reader.read(relation.left, functions) - reader.read(relation.right, functions)).subs(at)):
            return False
    relation = parse_relation(statement.claims[item["claim"] - 1])
    left, right = (sympy.N(reader.read(t, functions).subs(values), 30) for t in (relation.left, relation.right))
    return left.is_number and right.is_number and abs(left - right) > 1e-9 * max(1, abs(left))


def _definitions(statement):

    return definitions_from(dict(lambda_of(k, v) for k, v in statement.definitions.items()))


def _refutation_accepted(item):
    try:
        check_refutation(item, {})
    except ProofError:
        return False
    return True


@pytest.mark.parametrize("name", REFUTED)
def test_every_alteration_of_a_refutation_is_rejected(name):
    item, statement = REFUTED[name], library.REFUTATIONS[name].statement
    declared = [n for n, kind in statement.variables.items() if kind != "function"]
    tried = 0
    for field in ("left", "right"):
        assert not _refutation_accepted({**item, field: f"{item[field]}1"})
    for fields in ({"claim": 2}, {"claim": 0}, {"verdict": "proved"}, {"mistake": "none"}, {"id": "semigroup"}):
        assert not _refutation_accepted(item | fields)
    for n, value in item["witness"].items():
        rest = {k: v for k, v in item["witness"].items() if k != n}
        assert not _refutation_accepted({**item, "witness": rest})
        for _, new in alter.altered_formulas(value, []):
            tried += 1
            witness = {**item["witness"], n: new}
            if _refutation_accepted({**item, "witness": witness}):
                assert _sympy_refutes(item, witness), (n, new)
    for claim in statement.claims:
        for _, new in alter.altered_formulas(claim, declared):
            changed = alter.altered_statement(item, statement, claims=(new,))
            assert changed is None or not _refutation_accepted(changed), new
            tried += 1
    assert tried >= 8


def test_an_altered_witness_with_its_own_values_must_still_refute():
    """Values computed again by whoever alters the file: accepted only where sympy finds a counterexample too."""
    accepted = 0
    for name, item in REFUTED.items():
        statement = library.REFUTATIONS[name].statement
        for n, value in item["witness"].items():
            for _, new in alter.altered_formulas(value, []):
                witness = {**item["witness"], n: new}
                try:
                    found = evaluate_witness(statement, witness)
                except ValueError:
                    continue
                changed = {**item, "witness": witness}
                if found is None:
                    assert not _refutation_accepted(changed)
                    continue
                changed |= {"claim": found[0], "left": found[1], "right": found[2]}
                assert _refutation_accepted(changed)
                assert _sympy_refutes(changed, witness), (name, witness)
                accepted += 1
    assert accepted > 20
