"""A derivation as a sequence of headings, sentences and formulas, before any notation is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import library
from .axioms import AXIOMS
from .check import context_of
from .model import Statement, Theorem, Use
from .normal import normal
from .notation import plain
from .proofs import proof_json
from .readable import instance, term_of, tidy, tidy_relation
from .render import name_box
from .terms import ONE, FormulaError, Relation, Term, parse, parse_relation, substitute, symbol

if TYPE_CHECKING:
    from .derivation import Derivation

LONGEST = 600
CONDITIONS = "The conditions under which these hold are the next steps."
EQUATION = "Left minus right of the step is the sum of these differences, each times its factor."
INEQUALITY = "Left minus right of the step is the sum of these differences, each times its factor, and of terms >= 0."
RULES = {
    "order-types": "Every weak order of {names} is gone through.",
    "branch-and-bound": "Interval enclosures over a subdivision of the box.",
    "induction": "Induction on {variable}: base {cases} from {start}, then from {variable} to {variable} + 1.",
    "constant": "The derivative in {variable} is zero, and the value at {start} is the right side.",
    "increasing": "Left minus right is not negative at {start}, nor is its derivative in {variable}.",
}


@dataclass(frozen=True)
class Block:
    """One piece of a page: a heading, a formula, or a sentence.

    A sentence is `words`, then `links` (ids of theorems), then `tail`, then the formula `inline`; `level` indents.
    """

    kind: str
    words: str = ""
    formula: Relation | Term | None = None
    links: tuple[str, ...] = ()
    tail: str = ""
    inline: Term | None = None
    level: int = 0


def blocks(found: Derivation) -> Iterator[Block]:
    """The page of one derivation."""
    theorem = found.theorem
    if theorem is not None and found.id in library.THEOREMS:
        yield Block("words", theorem.words)
        yield Block("words", f"Source: {theorem.source}.")
    yield Block("heading", "Statement")
    yield from _statement(found.statement, results(found))
    if theorem is not None:
        yield from _assumptions(theorem)
        yield Block("heading", "Derivation" if found.wrong is None else "What holds instead")
        if found.wrong is not None:
            yield from _declarations(theorem.statement)
        yield from _steps(found, theorem)
    yield Block("heading", "Verdict")
    yield from _verdict(found)
    wrong = tuple(r.id for r in library.REFUTATIONS.values() if r.theorem == found.id)
    if wrong and found.wrong is None:
        yield Block("words", "Wrong variants, refuted:", links=wrong)
    if found.id in library.REFUTATIONS:
        yield Block("words", "The theorem that it spoils:", links=(library.REFUTATIONS[found.id].theorem,))


def results(found: Derivation) -> list[str]:
    """The claims that the verdict is about, without those on the way."""
    if found.wrong is not None or found.written_out is None:
        return list(found.statement.claims)
    return [line.claim for line in found.written_out.lines if line.result]


def _statement(statement: Statement, claims: list[str]) -> Iterator[Block]:
    yield from _declarations(statement)
    if any("Heat(" in claim for claim in claims):
        yield Block(
            "words", "Exponentials of the Laplacian smooth a polynomial image exactly, with standard deviation s."
        )
    yield Block("words", "Claim:" if len(claims) == 1 else "Claims:")
    for claim in claims:
        yield Block("formula", formula=parse_relation(claim))


def _declarations(statement: Statement) -> Iterator[Block]:
    of_kind: dict[str, list[str]] = {}
    for name, kind in statement.variables.items():
        of_kind.setdefault(kind, []).append(plain(name_box(name)))
    words = "; ".join(f"{', '.join(names)} {_kind(kind, len(names))}" for kind, names in of_kind.items())
    yield Block("words", f"For {words}." if words else "")
    if statement.definitions:
        yield Block("words", "Definitions:")
    for signature, body in statement.definitions.items():
        yield Block("formula", formula=Relation(parse(signature), "==", parse(body)))
    for name, given in statement.given.items():
        everywhere = f", for all {', '.join(given.for_all)}" if given.for_all else ""
        yield Block("words", f"Hypothesis, {name}{everywhere}:")
        yield Block("formula", formula=parse_relation(given.formula))


def _kind(kind: str, count: int) -> str:
    if kind != "function":
        return kind
    return "arbitrary functions" if count > 1 else "an arbitrary function"


def _assumptions(theorem: Theorem) -> Iterator[Block]:
    if theorem.axioms or theorem.lemmas:
        yield Block("heading", "Assumptions")
    for name in theorem.axioms:
        yield Block("words", f"{name}: {AXIOMS[name].words}")
        if AXIOMS[name].formula is not None:
            yield Block("formula", formula=parse_relation(str(AXIOMS[name].formula)))
    for name in theorem.lemmas:
        yield Block("words", "proved before: " + library.THEOREMS[name].title, links=(name,))


def _steps(found: Derivation, theorem: Theorem) -> Iterator[Block]:
    lines = found.written_out.lines if found.written_out is not None else ()
    reasons = {str(parse_relation(line.claim)): line.reason for line in lines}
    hypotheses: dict[str, Relation] = {}
    for step in proof_json(theorem)["steps"]:
        shown = parse_relation(step["shows"])
        yield Block("words", f"Step {step['number']}. {reasons.get(step['shows'], '')}".strip())
        yield Block("formula", formula=shown if step["shows"] in reasons else tidy_relation(shown), level=1)
        if step["by"] == "induction":
            before = {step["variable"]: parse(f"{step['variable']} - 1")}
            earlier = Relation(substitute(shown.left, before), shown.op, substitute(shown.right, before))
            hypotheses = {"IH": shown, "IH-1": earlier}
        if "uses" not in step:
            cases = "case" if step.get("depth") == 1 else f"cases, {step.get('depth')} of them,"
            words = RULES.get(step["by"], "By the rule {by}.").format(
                **{**step, "names": ", ".join(step.get("names", ())), "cases": cases}
            )
            yield Block("words", words, level=1)
            continue
        for record in step["uses"]:
            fact = Use(record["fact"], record["with"], record["times"], tuple(record["derive"]))
            yield from _use(theorem, fact, hypotheses)
        if step["uses"]:
            yield Block("words", EQUATION if shown.op == "==" else INEQUALITY, level=1)
        else:
            yield from _both_sides(theorem, shown)
        if step["by"] == "consequence":
            yield Block("words", CONDITIONS, level=1)


def _use(theorem: Theorem, fact: Use, hypotheses: Mapping[str, Relation]) -> Iterator[Block]:
    lemma, _, claim = fact.fact.partition("/")
    links = (lemma,) if claim else ()
    name = "the induction hypothesis" if fact.fact.startswith("IH") else fact.fact.removeprefix("given:")
    before = f"Use claim {claim} of" if claim else f"Use {name}"
    factor = tidy(parse(fact.times))
    times = None if factor == ONE else factor
    tail = ":" if times is None else ", times"
    yield Block("words", before, links=links, tail=tail, inline=times, level=1)
    yield Block("formula", formula=instance(theorem, fact, hypotheses), level=1)


def _both_sides(theorem: Theorem, shown: Relation) -> Iterator[Block]:
    """The normal form that both sides have, where it is short enough to read."""
    context = context_of(theorem.statement, {}, frozenset())
    try:
        common = term_of(normal(context.read_relation(str(shown)).left, context.kinds))
    except FormulaError:
        common = None
    if common is None or shown.op != "==" or len(str(common)) > LONGEST:
        yield Block("words", "Carried out and multiplied out, this holds term by term.", level=1)
    elif common not in (shown.left, shown.right):
        yield Block("words", "Carried out and multiplied out, both sides are", level=1)
        yield Block("formula", formula=common, level=1)


def _verdict(found: Derivation) -> Iterator[Block]:
    verdict = found.verdict
    words = {
        "proved": "Proved with sympy and re-derived by the independent checker.",
        "refuted": "Refuted: the checker evaluated the claim again at the witness, and the sides differ.",
        "unknown": f"Unknown: {found.reason}.",
    }[verdict]
    yield Block("words", words)
    if found.wrong is None:
        return
    for name, value in found.wrong.witness.items():
        yield Block("formula", formula=Relation(symbol(name), "==", parse(value)))
    item: dict[str, Any] = next(iter(found.to_json()["items"][-1:]), {})
    if item.get("format") == "refutation":
        yield Block(
            "words", f"There the left side of claim {item['claim']} is {item['left']}, the right {item['right']}."
        )
    if found.residual is not None:
        yield Block("words", "The factor that survives:", inline=parse(found.residual))
