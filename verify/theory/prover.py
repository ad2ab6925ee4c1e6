"""The prover: discharges each obligation of a theorem with sympy, and says how long it took.

The rules are those of the checker, implemented a second time on sympy expressions: what both accept rests on
two independent differentiators, substituters and normal forms.
"""

import functools
import itertools
import operator
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from .axioms import AXIOMS
from .calculus import definitions_from
from .check import lambda_of
from .model import Statement, Step, Theorem, Use
from .proofs import obligations, points_inside
from .symbolic import Reader, manifestly_nonnegative, vanishes
from .terms import Relation, Term, free_names, parse, parse_relation


@dataclass(frozen=True)
class Outcome:
    """What the prover found: the number of obligations discharged, the first that was not, the time."""

    obligations: int
    failed: str | None
    residual: Any
    seconds: float

    @property
    def proved(self) -> bool:
        """Every obligation was discharged."""
        return self.failed is None


class NotClosedError(Exception):
    """An obligation that the kernel does not close; `residual` is what is left."""

    def __init__(self, goal: Relation, residual: Any) -> None:
        super().__init__(str(goal))
        self.residual = residual


@dataclass(frozen=True)
class _Schema:
    relation: Relation
    reader: Reader
    variables: Mapping[str, str]


def _reader(statement: Statement) -> Reader:
    raw = dict(lambda_of(k, v) for k, v in statement.definitions.items())
    return Reader(statement.variables, definitions_from(raw))


def _schemas(theorem: Theorem, library: Mapping[str, Theorem]) -> dict[str, _Schema]:
    """Axioms, hypotheses and lemmas that the proof may use."""
    found = {}
    own = _reader(theorem.statement)
    for name in theorem.axioms:
        axiom = AXIOMS[name]
        if axiom.formula is not None:
            found[name] = _Schema(parse_relation(axiom.formula), Reader(axiom.variables, {}), axiom.variables)
    for name, given in theorem.statement.given.items():
        kinds = {v: theorem.statement.variables[v] for v in given.for_all}
        found[f"given:{name}"] = _Schema(parse_relation(given.formula), own, kinds)
    for lemma in theorem.lemmas:
        statement = library[lemma].statement
        for i, claim in enumerate(statement.claims, 1):
            found[f"{lemma}/{i}"] = _Schema(parse_relation(claim), _reader(statement), statement.variables)
    return found


class Prover:
    """Discharges the obligations of one theorem."""

    def __init__(self, theorem: Theorem, library: Mapping[str, Theorem]) -> None:
        self.theorem = theorem
        self.reader = _reader(theorem.statement)
        self.schemas = _schemas(theorem, library)
        self.hypotheses: dict[str, tuple[Any, Any, str]] = {}
        self.count = 0

    def run(self) -> Outcome:
        """Prove every claim; stops at the first obligation that does not close."""
        began = time.perf_counter()
        failed, residual = None, None
        try:
            claims = map(parse_relation, self.theorem.statement.claims)
            for claim, step in zip(claims, self.theorem.proof, strict=True):
                self.prove(claim, step)
        except NotClosedError as error:
            failed, residual = str(error), error.residual
        return Outcome(self.count, failed, residual, time.perf_counter() - began)

    def prove(self, goal: Relation, step: Step, points: int = 0) -> None:
        """One obligation and, recursively, those that its rule leaves, inside `points` named points."""
        self.count += 1
        match step.by:
            case "algebra":
                self._algebra(goal, step.uses)
            case "order-types":
                self._order_types(goal, step.names)
            case "branch-and-bound":
                self._box(goal, step.box)
            case "induction":
                self._induction(goal, step, points)
            case _:
                if step.by == "consequence":
                    self._algebra(goal, step.uses)
                for i, (rest, child) in enumerate(zip(obligations(goal, step, points), step.children, strict=True)):
                    self.prove(rest, child, points_inside(step, i, points))

    def _induction(self, goal: Relation, step: Step, points: int) -> None:
        *bases, following = obligations(goal, step)
        for obligation, child in zip(bases, step.children, strict=False):
            self.prove(obligation, child, points)
        variable = self.reader.symbol(step.variable)
        left, right = (self.reader.read(t) for t in (goal.left, goal.right))
        for j in range(step.depth):
            name = "IH" if j == 0 else f"IH-{j}"
            self.hypotheses[name] = (
                left.subs(variable, variable - j),
                right.subs(variable, variable - j),
                goal.op,
            )
        self.prove(following, step.children[-1], points)
        self.hypotheses.clear()

    def _instance(self, use: Use) -> tuple[Any, Any, str]:
        if use.fact in self.hypotheses:
            left, right, op = self.hypotheses[use.fact]
        else:
            schema = self.schemas[use.fact]
            functions: dict[str, Any] = {}
            replacements = {}
            for name in schema.variables:
                text = use.values.get(name, name)
                value = self.reader.read(parse(text))
                if schema.variables[name] == "function":
                    functions[name] = text if isinstance(value, sympy.Symbol) else value
                else:
                    replacements[schema.reader.symbol(name)] = value
            sides = (schema.relation.left, schema.relation.right)
            left, right = (schema.reader.read(t, functions).subs(replacements, simultaneous=True) for t in sides)
            op = schema.relation.op
        for variable in use.derive:
            symbol = self.reader.symbol(variable)
            left, right = sympy.diff(left, symbol), sympy.diff(right, symbol)
        return left, right, op

    def _algebra(self, goal: Relation, uses: tuple[Use, ...]) -> None:
        residual = self.reader.read(goal.left) - self.reader.read(goal.right)
        if goal.op == "<=":
            residual = -residual
        for use in uses:
            left, right, op = self._instance(use)
            factor = self.reader.read(parse(use.times))
            residual -= factor * (right - left if op == "<=" else left - right)
            if op != "==" and not manifestly_nonnegative(factor):
                raise NotClosedError(goal, factor)
        closed = vanishes(residual) if goal.op == "==" else manifestly_nonnegative(residual)
        if not closed:
            raise NotClosedError(goal, residual)

    def _order_types(self, goal: Relation, names: tuple[str, ...]) -> None:
        """Every ranking with ties, as a map from names to ranks; gaps are positive symbols."""
        for ranks in itertools.product(range(len(names)), repeat=len(names)):
            if set(ranks) != set(range(max(ranks) + 1)):
                continue
            level = [sympy.Symbol("lowest", real=True)]
            for i in range(max(ranks)):
                level.append(level[-1] + sympy.Symbol(f"gap{i}", positive=True))
            values = {n: level[r] for n, r in zip(names, ranks, strict=True)}
            left, right = (self._decided(t, values) for t in (goal.left, goal.right))
            difference = sympy.expand(left - right)
            holds = (
                difference == 0
                if goal.op == "=="
                else (difference.is_nonnegative if goal.op == ">=" else (-difference).is_nonnegative)
            )
            if not holds:
                raise NotClosedError(goal, difference)

    def _decided(self, term: Term, values: Mapping[str, Any]) -> Any:
        """Comparisons become 0 or 1, max its largest argument."""
        if term.head == "sym" and term.data in values:
            return values[str(term.data)]
        if term.head == "app":
            name = term.data[0]  # type: ignore[index]
            inner = [self._decided(a, values) for a in term.args]
            if name == "max":
                return sympy.expand(_largest([sympy.expand(i) for i in inner]))
            if name in ("le", "same"):
                gap = sympy.expand(inner[1] - inner[0])
                return sympy.Integer(bool(gap.is_nonnegative if name == "le" else gap == 0))
            truth = [bool(i) for i in inner]
            if name in ("iff", "both", "either"):
                value = {"iff": truth[0] == truth[1], "both": all(truth), "either": any(truth)}[name]
                return sympy.Integer(value)
        if term.head in ("add", "mul"):
            build = sympy.Add if term.head == "add" else sympy.Mul
            return build(*(self._decided(a, values) for a in term.args))
        return self.reader.read(term)

    def _box(self, goal: Relation, box: Mapping[str, tuple[str, str]]) -> None:
        """Interval arithmetic of mpmath over a subdivision, halving the widest side."""
        names = list(box)
        symbols = [self.reader.symbol(n) for n in names]
        sides = [tuple(Fraction(str(parse(v).data)) for v in box[n]) for n in names]
        difference = self.reader.read(goal.left) - self.reader.read(goal.right)
        if goal.op == "<=":
            difference = -difference
        for _ in _subdivide(lambda *values: _enclosure(difference, dict(zip(symbols, values, strict=True))), sides):
            pass


def _largest(values: list[Any]) -> Any:
    best = values[0]
    for value in values[1:]:
        if sympy.expand(value - best).is_nonnegative:
            best = value
        elif not sympy.expand(best - value).is_nonnegative:
            raise ValueError(f"cannot compare {best} and {value}")
    return best


def _enclosure(expression: Any, values: Mapping[Any, Any]) -> Any:
    """An interval of mpmath that holds the value for all values of the symbols in their intervals."""
    from mpmath import iv

    if expression in values:
        return values[expression]
    if expression.is_Rational:
        return iv.mpf(int(expression.p)) / int(expression.q)
    if expression is sympy.pi:
        return iv.pi
    if expression is sympy.E:
        return iv.e
    inner = [_enclosure(a, values) for a in expression.args]
    if expression.is_Add:
        return sum(inner[1:], inner[0])
    if expression.is_Mul:
        return functools.reduce(operator.mul, inner)
    if expression.is_Pow:
        exponent = expression.exp
        return inner[0] ** int(exponent) if exponent.is_Integer else iv.exp(inner[1] * iv.log(inner[0]))
    return {sympy.exp: iv.exp, sympy.log: iv.log, sympy.cos: iv.cos, sympy.sin: iv.sin}[expression.func](*inner)


def _subdivide(enclose: Any, sides: list[Any]) -> Iterator[None]:
    from mpmath import iv

    stack = [sides]
    while stack:
        current = stack.pop()
        values = [
            iv.mpf([iv.mpf(a.numerator).a / a.denominator, iv.mpf(b.numerator).b / b.denominator]) for a, b in current
        ]
        result = enclose(*values)
        if result.a >= 0:
            yield
            continue
        if result.b < 0 or len(stack) > 5000:
            raise NotClosedError(Relation(parse("0"), ">=", parse("0")), str(result))
        widest = max(range(len(current)), key=lambda i: current[i][1] - current[i][0])
        a, b = current[widest]
        for half in ((a, (a + b) / 2), ((a + b) / 2, b)):
            stack.append([*current[:widest], half, *current[widest + 1 :]])


def prove(theorem: Theorem, library: Mapping[str, Theorem]) -> Outcome:
    """Discharge every obligation of the theorem with sympy."""
    return Prover(theorem, library).run()


def names_of(relation: Relation) -> frozenset[str]:
    """Free names of both sides."""
    return free_names(relation.left) | free_names(relation.right)
