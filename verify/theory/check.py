"""The independent checker of proof files: no sympy, no torch, no module of the prover.

`check_proof` takes the JSON of a proof, of a refutation, or of a collection of both. It compares the statement
with the library's statement of that name, derives every obligation from it by its own substitution and
differentiation (`rules`), and closes each one twice: by exact expansion (`normal`) and at random points of a
prime field (`field`). What a file says about itself is never believed: displayed formulas, assumptions and
lemmas are compared with what is derived. Witnesses of refutations are evaluated again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import calculus
from .axioms import AXIOMS
from .calculus import definitions_from, expand_relation
from .model import Given, Refutation, Statement, Theorem
from .normal import Kinds
from .render import relation_latex
from .rules import BUILT_IN, Context, Fact, ProofError, goal_of, prove, same
from .spelling import alike, respelled
from .terms import FormulaError, Term, Work, free_names, parse, parse_relation, parts
from .witness import evaluate_witness

FORMAT = "gdtriton-proof-1"
MAX_BYTES = 8_000_000
MAX_STEPS = 400
MAX_WORK = 5_000_000  # the whole library takes less than a tenth
KINDS = ("positive", "nonnegative", "real", "vector", "integer", "natural", "function")
ALWAYS = ("H",)

STEP_FIELDS = {
    "algebra": ("uses",),
    "consequence": ("uses",),
    "induction": ("variable", "start", "depth"),
    "constant": ("variable", "start"),
    "increasing": ("variable", "start"),
    "convex": ("variable", "start"),
    "order-types": ("names",),
    "branch-and-bound": ("box",),
}


@dataclass(frozen=True)
class Report:
    """What a check has established."""

    proved: tuple[str, ...]
    refuted: tuple[str, ...]
    obligations: int
    trusted: tuple[int, ...] = ()


def lambda_of(signature: str, body: str) -> tuple[str, Term]:
    """`g(x, s)` and its body as a name and a lambda; a plain name as itself."""
    head = parse(signature)
    if head.head == "sym":
        return str(head.data), parse(body)
    if head.head != "app":
        raise FormulaError(f"not the left side of a definition: {signature[:60]!r}")
    name, index, args = parts(head)
    if index or any(a.head != "sym" for a in args):
        raise FormulaError(f"not the left side of a definition: {signature[:60]!r}")
    return name, Term("lam", tuple(str(a.data) for a in args), (parse(body),))


def load(text: str | bytes) -> Any:
    """JSON with a bound on its size; duplicate keys, NaN and deep nesting are errors.

    Raises:
        ProofError: not such JSON.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            raise ProofError(None, "a key occurs twice")
        return result

    def constant(name: str) -> Any:
        raise ProofError(None, f"{name} is not a number")

    if len(text) > MAX_BYTES:
        raise ProofError(None, f"a proof file has at most {MAX_BYTES} bytes, got {len(text)}")
    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise ProofError(None, f"not a JSON proof file: {str(error)[:120]}") from error


def _fields(data: Any, names: Mapping[str, type | tuple[type, ...]], where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ProofError(None, f"{where} must be an object, got {type(data).__name__}")
    if data.keys() != names.keys():
        wrong = sorted(data.keys() ^ names.keys())
        raise ProofError(None, f"{where}: fields missing or not known: {', '.join(wrong)[:120]}")
    for name, kind in names.items():
        if not isinstance(data[name], kind) or isinstance(data[name], bool):
            raise ProofError(None, f"{where}: {name} has the wrong type")
    return data


def _strings(values: Any, where: str) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ProofError(None, f"{where} must be a list of strings")
    return values


def _string_map(values: Any, where: str) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise ProofError(None, f"{where} must map names to strings")
    return values


STATEMENT_FIELDS: dict[str, type] = {
    "variables": dict,
    "definitions": dict,
    "given": dict,
    "claims": list,
    "text": list,
    "latex": list,
}


def read_statement(data: Any) -> Statement:
    """The statement of a file; its displayed text and LaTeX must be those of its claims."""
    fields = _fields(data, STATEMENT_FIELDS, "statement")
    given = {}
    for name, item in fields["given"].items():
        inner = _fields(item, {"formula": str, "for_all": list}, f"hypothesis {name[:40]}")
        given[name] = Given(inner["formula"], tuple(_strings(inner["for_all"], "for_all")))
    statement = Statement(
        variables=_string_map(fields["variables"], "variables"),
        claims=tuple(_strings(fields["claims"], "claims")),
        definitions=_string_map(fields["definitions"], "definitions"),
        given=given,
    )
    if not 1 <= len(statement.claims) <= 100:
        raise ProofError(None, "a statement has 1 to 100 claims")
    shown = display(statement)
    for name in ("text", "latex"):
        if fields[name] != shown[name]:
            raise ProofError(None, f"statement: the displayed {name} is not that of the claims")
    return statement


def display(statement: Statement) -> dict[str, list[str]]:
    """The claims as plain text and as LaTeX."""
    relations = [parse_relation(c) for c in statement.claims]
    return {
        "text": [str(r).replace("==", "=") for r in relations],
        "latex": [relation_latex(r) for r in relations],
    }


def context_of(statement: Statement, facts: Mapping[str, Fact], principles: frozenset[str]) -> Context:
    """Declarations, definitions and hypotheses of a statement, ready for its claims."""
    for name, kind in statement.variables.items():
        if kind not in KINDS and not kind.startswith("in "):
            raise ProofError(None, f"variable {name[:40]}: unknown kind {kind[:40]!r}")
    kinds = Kinds({**statement.variables, **dict.fromkeys(ALWAYS, "function")})
    raw = dict(lambda_of(k, v) for k, v in statement.definitions.items())
    for name, body in raw.items():
        unknown = free_names(body) - kinds.of.keys() - raw.keys() - BUILT_IN
        if unknown:
            raise ProofError(None, f"the definition of {name} uses the undeclared name {sorted(unknown)[0]}")
    definitions = definitions_from(raw)
    context = Context(kinds, definitions, dict(facts), principles)
    own: dict[str, Fact] = {}
    rigid: set[str] = set()
    for name, item in statement.given.items():
        relation = context.read_relation(item.formula)
        names = free_names(relation.left) | free_names(relation.right)
        if not set(item.for_all) <= names:
            raise ProofError(None, f"hypothesis {name[:40]}: for_all names something that does not occur")
        own[f"given:{name}"] = Fact(relation, {v: kinds.of[v] for v in item.for_all})
        rigid |= {n for n in names - set(item.for_all) if kinds.of.get(n, "function") != "function"}
    context.facts = {**facts, **own}
    context.rigid = frozenset(rigid)
    return context


def same_statement(a: Statement, b: Statement) -> str | None:
    """None if two statements mean the same, else the part that differs. Rewritten formulas are the same."""
    if a == b:
        return None
    if dict(a.variables) != dict(b.variables):
        return "variables"
    if a.definitions.keys() != b.definitions.keys() or a.given.keys() != b.given.keys():
        return "definitions or hypotheses"
    if len(a.claims) != len(b.claims):
        return "number of claims"
    first, second = (context_of(s, {}, frozenset()) for s in (a, b))
    for name, body in first.definitions.items():
        other = second.definitions[name]
        if body.head != other.head or body.data != other.data:
            return f"definition of {name}"
        own, its = (t.args[0] if t.head == "lam" else t for t in (body, other))
        if not alike(its, own, first.kinds):
            return f"definition of {name}"
    for name, item in a.given.items():
        other_item = b.given[name]
        if item.for_all != other_item.for_all:
            return f"hypothesis {name}"
        raw = parse_relation(other_item.formula), parse_relation(item.formula)
        if not respelled(*raw, first.kinds):
            return f"hypothesis {name}"
    for i, (claim, other_claim) in enumerate(zip(a.claims, b.claims, strict=True), 1):
        raw = parse_relation(other_claim), parse_relation(claim)
        if not respelled(*raw, first.kinds) or not same(
            second.read_relation(other_claim), first.read_relation(claim), first.kinds
        ):
            return f"claim {i}"
    return None


def axiom_facts(names: list[str]) -> tuple[dict[str, Fact], frozenset[str]]:
    """The schematic facts and the principles among the named assumptions."""
    facts = {}
    principles = set()
    for name in names:
        axiom = AXIOMS.get(name)
        if axiom is None:
            raise ProofError(None, f"unknown assumption {name[:60]!r}")
        if axiom.formula is None:
            principles.add(name)
        else:
            kinds = Kinds({**axiom.variables, "H": "function"})
            relation = expand_relation(parse_relation(axiom.formula), {}, kinds)
            needs = tuple(expand_relation(parse_relation(n), {}, kinds) for n in axiom.needs)
            facts[name] = Fact(relation, axiom.variables, axiom.condition, needs, axiom.point)
    return facts, frozenset(principles)


PROOF_FIELDS: dict[str, type] = {
    "format": str,
    "id": str,
    "parameters": dict,
    "title": str,
    "words": str,
    "source": str,
    "statement": dict,
    "assumptions": list,
    "lemmas": list,
    "steps": list,
    "trusted": list,
    "verdict": str,
}


def _library(theorem_id: str, parameters: Mapping[str, Any]) -> Theorem:
    from .library import lookup

    try:
        return lookup(theorem_id, parameters)
    except (KeyError, ValueError) as error:
        raise ProofError(None, f"no theorem {theorem_id[:60]!r} with these parameters: {error}") from error


def check_theorem(data: Any, established: dict[str, Statement]) -> int:
    """Check one proof; `established` holds the statements proved so far and gains this one.

    Returns:
        The number of obligations.

    Raises:
        ProofError: it does not prove its statement.
    """
    proof = _fields(data, PROOF_FIELDS, "proof")
    if proof["verdict"] != "proved":
        raise ProofError(None, f"the verdict of a proof is 'proved', got {proof['verdict'][:40]!r}")
    if proof["trusted"]:
        raise ProofError(None, "this checker trusts no step: the list must be empty")
    theorem = _library(proof["id"], proof["parameters"])
    for name in ("title", "words", "source"):
        if proof[name] != getattr(theorem, name):
            raise ProofError(None, f"{name} is not that of theorem {theorem.id}")
    try:
        statement = read_statement(proof["statement"])
        difference = same_statement(statement, theorem.statement)
    except FormulaError as error:
        raise ProofError(None, f"statement: {error}") from error
    if difference is not None:
        raise ProofError(None, f"the statement is not that of theorem {theorem.id}: {difference} differs")
    assumptions = _strings(proof["assumptions"], "assumptions")
    if sorted(assumptions) != sorted(theorem.axioms):
        raise ProofError(None, f"the assumptions are not those of theorem {theorem.id}")
    facts, principles = axiom_facts(assumptions)
    lemmas = _strings(proof["lemmas"], "lemmas")
    if sorted(lemmas) != sorted(theorem.lemmas):
        raise ProofError(None, f"the lemmas are not those of theorem {theorem.id}")
    for lemma in lemmas:
        if lemma not in established:
            raise ProofError(None, f"lemma {lemma[:60]!r} is not proved before it is used")
        facts |= lemma_facts(lemma, established[lemma])
    count = _check_steps(proof["steps"], statement, facts, principles)
    if not proof["parameters"]:
        established[theorem.id] = statement
    return count


def lemma_facts(name: str, statement: Statement) -> dict[str, Fact]:
    """The claims of a proved theorem without hypotheses, for all values of its variables."""
    if statement.given:
        raise ProofError(None, f"lemma {name} has hypotheses; only unconditional theorems are lemmas")
    context = context_of(statement, {}, frozenset())
    return {
        f"{name}/{i}": Fact(context.read_relation(claim), statement.variables)
        for i, claim in enumerate(statement.claims, 1)
    }


def _check_steps(steps: list[Any], statement: Statement, facts: Mapping[str, Fact], principles: frozenset[str]) -> int:
    if len(steps) > MAX_STEPS:
        raise ProofError(None, f"a proof has at most {MAX_STEPS} steps")
    for i, step in enumerate(steps, 1):
        _check_step_fields(step, i)
    calculus.UNDER_INTEGRAL.clear()
    try:
        context = context_of(statement, facts, principles)
        claims = [goal_of(c, context) for c in statement.claims]
    except FormulaError as error:
        raise ProofError(None, f"statement: {error}") from error
    remaining = iter(steps)
    for claim in claims:
        prove(claim, remaining)
    extra = next(remaining, None)
    if extra is not None:
        raise ProofError(extra["number"], "shows nothing that the statement asks for")
    if calculus.UNDER_INTEGRAL and "differentiate-under-integral" not in principles:
        raise ProofError(None, "a derivative goes under an integral; that assumption is not named")
    return len(context.obligations)


def _check_step_fields(step: Any, position: int) -> None:
    if not isinstance(step, dict) or step.get("by") not in STEP_FIELDS:
        raise ProofError(position, "not a step with a known rule")
    expected = {"number", "shows", "by", *STEP_FIELDS[step["by"]]}
    if step.keys() != expected or type(step["number"]) is not int or step["number"] != position:
        raise ProofError(position, "fields missing or not known, or out of order")
    if not isinstance(step["shows"], str):
        raise ProofError(position, "shows must be a formula")
    try:
        for use in step.get("uses", []):
            fields = _fields(use, {"fact": str, "with": dict, "times": str, "derive": list}, "use")
            _string_map(fields["with"], "with")
            _strings(fields["derive"], "derive")
        for name in ("variable", "start"):
            if name in step and not isinstance(step[name], str):
                raise ProofError(position, f"{name} must be a string")
        if "depth" in step and type(step["depth"]) is not int:
            raise ProofError(position, "depth must be an integer")
        if "names" in step:
            _strings(step["names"], "names")
        if "box" in step:
            for ends in _fields(step["box"], dict.fromkeys(step["box"], list), "box").values():
                if len(_strings(ends, "box")) != 2:
                    raise ProofError(position, "a side of a box has two ends")
    except (ProofError, AttributeError, TypeError) as error:
        raise ProofError(position, str(error)) from error


def check_proof(data: str | bytes | Mapping[str, Any]) -> Report:
    """Check a proof, a refutation, or a collection, given as JSON text or as what `json.loads` makes of it.

    Args:
        data: format `gdtriton-proof-1`: a collection has `items`, lemmas before the theorems that use them.

    Returns:
        What has been established.

    Raises:
        ProofError: something does not follow; `.step` and `.reason` say what.
    """
    content = load(data) if isinstance(data, (str, bytes)) else data
    with Work.limited(MAX_WORK):
        return _check(content)


def _check(content: Any) -> Report:
    if isinstance(content, dict) and content.get("format") == "gdtriton-network-1":
        from ..network.check import check_network

        return check_network(content)
    # the report is what was printed, times for example: it proves nothing and is not read
    if isinstance(content, dict):
        content = {k: v for k, v in content.items() if k != "report"}
    top = _fields(content, {"format": str, "items": list}, "proof file")
    if top["format"] != FORMAT:
        raise ProofError(None, f"format must be {FORMAT!r}, got {top['format'][:40]!r}")
    if not 1 <= len(top["items"]) <= 400:
        raise ProofError(None, "a proof file has 1 to 400 items")
    established: dict[str, Statement] = {}
    proved: list[str] = []
    refuted: list[str] = []
    seen: set[tuple[str, str, str]] = set()
    obligations = 0
    for item in top["items"]:
        kind = item.get("format") if isinstance(item, dict) else None
        checker = CHECKERS.get(kind) if isinstance(kind, str) else None
        if checker is None:
            raise ProofError(None, f"unknown kind of item {str(kind)[:60]!r}")
        try:
            obligations += checker(item, established)
        except RecursionError as error:
            raise ProofError(None, "nested too deep") from error
        except (LookupError, TypeError, AttributeError, AssertionError, ArithmeticError, ValueError) as error:
            raise ProofError(None, f"malformed: {str(error)[:120]}") from error
        known = (str(kind), item["id"], json.dumps(item["parameters"], sort_keys=True))
        if known in seen:
            raise ProofError(None, f"{item['id'][:60]!r} occurs twice")
        seen.add(known)
        (refuted if kind == "refutation" else proved).append(item["id"])
    return Report(tuple(proved), tuple(refuted), obligations)


REFUTATION_FIELDS: dict[str, type] = {
    "format": str,
    "id": str,
    "mistake": str,
    "statement": dict,
    "witness": dict,
    "claim": int,
    "left": str,
    "right": str,
    "verdict": str,
    "parameters": dict,
}


def check_refutation(data: Any, established: dict[str, Statement]) -> int:
    """Evaluate the witness of a refutation again.

    Raises:
        ProofError: the statement is not refuted by it.
    """
    from .library import lookup_refutation

    fields = _fields(data, REFUTATION_FIELDS, "refutation")
    if fields["verdict"] != "refuted":
        raise ProofError(None, "the verdict of a refutation is 'refuted'")
    try:
        known: Refutation = lookup_refutation(fields["id"], fields["parameters"])
    except (KeyError, ValueError) as error:
        raise ProofError(None, f"no refutation {fields['id'][:60]!r}: {error}") from error
    if fields["mistake"] != known.mistake:
        raise ProofError(None, "mistake is not that of the library")
    try:
        statement = read_statement(fields["statement"])
        if statement != known.statement:
            raise ProofError(None, f"the statement is not that of {known.id}")
        found = evaluate_witness(statement, _string_map(fields["witness"], "witness"))
    except FormulaError as error:
        raise ProofError(None, f"refutation {known.id}: {error}") from error
    if found is None:
        raise ProofError(None, f"refutation {known.id}: every claim holds at the witness")
    if (fields["claim"], fields["left"], fields["right"]) != found:
        raise ProofError(None, f"refutation {known.id}: the values at the witness are {found}")
    return 1


CHECKERS: dict[str, Callable[[Any, dict[str, Statement]], int]] = {
    "theorem": check_theorem,
    "refutation": check_refutation,
}
