"""Alterations of proof files, one change at a time, of every kind; the statements keep a matching display."""

import copy
from fractions import Fraction

from gdtriton.verify.theory import library
from gdtriton.verify.theory.check import (
    STEP_FIELDS,
    display,
    read_statement,
)
from gdtriton.verify.theory.model import Given, Statement
from gdtriton.verify.theory.proofs import proof_json
from gdtriton.verify.theory.terms import Term, parse, parse_relation, parts

OTHER_FUNCTION = {
    **{"sin": "cos", "cos": "sin", "exp": "log", "log": "exp", "D": "At"},
    **{"Int": "Sup", "Sup": "Int", "Sum": "Max", "Max": "Sum"},
}
OTHER_RELATION = {"==": (">=", "<=", ">"), ">=": ("==", "<=", ">"), "<=": ("==", ">=", ">"), ">": ("==", ">=", "<=")}
ITEMS = {t.id: proof_json(t) for t in library.THEOREMS.values()}
STATEMENTS = {name: read_statement(item["statement"]) for name, item in ITEMS.items()}


def _rebuild(term, place, new):
    args = list(term.args)
    args[place] = new
    return Term(term.head, term.data, tuple(args))


def altered_terms(term, names):
    """(kind, formula) for every single alteration of one node; `names` the declared variables."""
    if term.head == "num":
        yield "changed number", Term("num", term.data + 1)
    elif term.head == "sym":
        yield "changed symbol", Term("sym", "undeclared")
        yield from (("changed symbol", Term("sym", n)) for n in names if n != term.data)
    elif term.head == "add":
        yield "changed operator", Term("mul", None, term.args)
        for i, a in enumerate(term.args):
            yield "changed sign", _rebuild(term, i, Term("mul", None, (Term("num", Fraction(-1)), a)))
    elif term.head == "mul":
        yield "changed operator", Term("add", None, term.args)
    elif term.head == "pow":
        yield "changed operator", Term("mul", None, term.args)
    elif term.head == "app":
        name, index, args = parts(term)
        if name in OTHER_FUNCTION:
            yield "changed operator", Term("app", (OTHER_FUNCTION[name], len(index)), term.args)
        if name == "D" and len(args) > 2:
            yield "changed operator", Term("app", ("D", 0), term.args[:-1])
    if term.head not in ("num", "sym"):
        yield "changed sign", Term("mul", None, (Term("num", Fraction(-1)), term))
    for i, a in enumerate(term.args):
        for kind, new in altered_terms(a, names):
            yield kind, _rebuild(term, i, new)


def altered_formulas(text, names):
    """The same for a formula or relation as a string."""
    try:
        relation = parse_relation(text)
    except ValueError:
        yield from ((kind, str(t)) for kind, t in altered_terms(parse(text), names))
        return
    for kind, t in altered_terms(relation.left, names):
        yield kind, f"{t} {relation.op} {relation.right}"
    for kind, t in altered_terms(relation.right, names):
        yield kind, f"{relation.left} {relation.op} {t}"
    yield from (("changed operator", f"{relation.left} {op} {relation.right}") for op in OTHER_RELATION[relation.op])


def spread(alterations, limit):
    """At most `limit` of each kind, evenly spread."""
    by_kind = {}
    for alteration in alterations:
        by_kind.setdefault(alteration[0], []).append(alteration)
    for found in by_kind.values():
        stride = 1 if limit is None else max(1, -(-len(found) // limit))
        yield from found[::stride]


def _declared(item):
    return [n for n, kind in item["statement"]["variables"].items() if kind != "function"]


def with_statement(item, statement):
    changed = copy.deepcopy(item)
    changed["statement"] |= {
        "variables": dict(statement.variables),
        "definitions": dict(statement.definitions),
        "given": {k: {"formula": g.formula, "for_all": list(g.for_all)} for k, g in statement.given.items()},
        "claims": list(statement.claims),
        **display(statement),
    }
    return changed


def _renumbered(item, steps):
    changed = copy.deepcopy(item)
    changed["steps"] = [{**copy.deepcopy(s), "number": i} for i, s in enumerate(steps, 1)]
    return changed


def statement_alterations(item, limit):
    """(kind, altered item, original formula, altered formula); no formulas where nothing may be equal."""
    statement, names = STATEMENTS[item["id"]], _declared(item)
    fields = {"claims": dict(enumerate(statement.claims)), "definitions": statement.definitions}
    fields["given"] = {k: g.formula for k, g in statement.given.items()}
    for field, formulas in fields.items():
        for key, text in formulas.items():
            for kind, new in spread(altered_formulas(text, names), limit):
                if field == "claims":
                    part = tuple(new if i == key else c for i, c in enumerate(statement.claims))
                elif field == "given":
                    part = {**statement.given, key: Given(new, statement.given[key].for_all)}
                else:
                    part = {**statement.definitions, key: new}
                yield kind, altered_statement(item, statement, **{field: part}), text, new
    for name, old in statement.variables.items():
        for new in {"real", "positive", "natural"} - {old}:
            part = {**statement.variables, name: new}
            yield "assumption removed", altered_statement(item, statement, variables=part), None, None
    for name, given in statement.given.items():
        rest = {k: v for k, v in statement.given.items() if k != name}
        yield "assumption removed", altered_statement(item, statement, given=rest), None, None
        for wider in [n for n in names if n not in given.for_all and n in given.formula]:
            part = {**statement.given, name: Given(given.formula, (*given.for_all, wider))}
            yield "assumption changed", altered_statement(item, statement, given=part), None, None
    for i, claim in enumerate(statement.claims):
        if len(statement.claims) > 1:
            part = (*statement.claims[:i], *statement.claims[i + 1 :])
            yield "dropped claim", altered_statement(item, statement, claims=part), None, None
        trivial = f"{parse_relation(claim).left} == {parse_relation(claim).left}"
        if trivial != str(parse_relation(claim)):
            part = (*statement.claims[:i], trivial, *statement.claims[i + 1 :])
            yield "trivial claim", altered_statement(item, statement, claims=part), None, None
    ids = list(STATEMENTS)
    here = ids.index(item["id"])
    others = ids[:here] + ids[here + 1 :]
    for other in others if limit is None else [others[here % len(others)], others[(7 * here) % len(others)]]:
        changed = copy.deepcopy(item)
        changed["statement"] = ITEMS[other]["statement"]
        yield "statement of another theorem", changed, None, None
        yield "statement of another theorem", {**ITEMS[other], "id": item["id"]}, None, None


def altered_statement(item, statement, **parts_):
    whole = {f: getattr(statement, f) for f in ("variables", "claims", "definitions", "given")}
    try:
        return with_statement(item, Statement(**(whole | parts_)))
    except ValueError:
        return None


def step_alterations(item, limit):
    """(kind, altered item, step position, what was altered as (where, old, new))."""
    steps, names = item["steps"], _declared(item)
    for i, step in enumerate(steps):
        yield "dropped step", _renumbered(item, steps[:i] + steps[i + 1 :]), i, None
        yield "repeated step", _renumbered(item, steps[: i + 1] + steps[i:]), i, None
        for j in range(i + 1, len(steps) if limit is None else min(len(steps), i + 2)):
            if {**steps[i], "number": 0} != {**steps[j], "number": 0}:
                swapped = [*steps]
                swapped[i], swapped[j] = swapped[j], swapped[i]
                yield "swapped steps", _renumbered(item, swapped), i, ("swapped", steps[i], steps[j])
        for kind, new in spread(altered_formulas(step["shows"], names), limit):
            yield kind, _step(item, i, shows=new), i, ("shows", step["shows"], new)
        for rule in STEP_FIELDS:
            if rule != step["by"]:
                yield "changed rule", _step(item, i, by=rule), i, None
        if "variable" in step:
            yield from (("changed symbol", _step(item, i, variable=n), i, None) for n in names if n != step["variable"])
            yield "changed number", _step(item, i, start=f"{step['start']} + 1"), i, None
        if "depth" in step:
            yield "changed number", _step(item, i, depth=3 - step["depth"]), i, None
        if "box" in step:
            for n, (low, high) in step["box"].items():
                yield "changed number", _step(item, i, box={**step["box"], n: [low, f"({low} + {high})/2"]}), i, None
        if "names" in step:
            for n in step["names"]:
                less = [other for other in step["names"] if other != n]
                yield "changed symbol", _step(item, i, names=less), i, None
        uses = step.get("uses", [])
        for j, use in enumerate(uses):
            less = uses[:j] + uses[j + 1 :]
            yield "dropped fact", _step(item, i, uses=less), i, None
            facts = sorted({u["fact"] for s in steps for u in s.get("uses", [])} - {use["fact"]})
            for fact in (facts if limit is None else facts[:2]) or ["induction"]:
                yield "changed fact", _use(item, i, j, fact=fact), i, None
            for kind, new in spread(altered_formulas(use["times"], names), limit):
                yield kind, _use(item, i, j, times=new), i, ("times", j, new)
            for name, value in use["with"].items():
                rest = {k: v for k, v in use["with"].items() if k != name}
                yield "changed instantiation", _use(item, i, j, **{"with": rest}), i, ("with", j, rest)
                for _, new in spread(altered_formulas(value, names), limit):
                    values = use["with"] | {name: new}
                    yield "changed instantiation", _use(item, i, j, **{"with": values}), i, ("with", j, values)
            for variable in names[: None if limit is None else 2]:
                derive = [*use["derive"], variable]
                yield "changed operator", _use(item, i, j, derive=derive), i, None
            if use["derive"]:
                yield "changed operator", _use(item, i, j, derive=use["derive"][1:]), i, None


def _step(item, i, **fields):
    changed = copy.deepcopy(item)
    changed["steps"][i] |= fields
    return changed


def _use(item, i, j, **fields):
    changed = copy.deepcopy(item)
    changed["steps"][i]["uses"][j] |= fields
    return changed


def file_alterations(item):
    """What a proof says about itself."""
    for field in ("assumptions", "lemmas"):
        for i, name in enumerate(item[field]):
            less = item[field][:i] + item[field][i + 1 :]
            yield "assumption removed", {**item, field: less}
            yield "assumption changed", {**item, field: [*less, f"{name}-not"]}
        yield (
            "assumption added",
            {**item, field: [*item[field], "induction" if field == "assumptions" else "semigroup"]},
        )
    for field in ("title", "words", "source", "id"):
        yield "changed symbol", {**item, field: item[field] + "x"}
    yield "changed symbol", {**item, "verdict": "refuted"}
    yield "changed number", {**item, "trusted": [1]}
    for name in ("text", "latex"):
        shown = [f"{item['statement'][name][0]} + 1", *item["statement"][name][1:]]
        yield "changed number", {**item, "statement": {**item["statement"], name: shown}}
