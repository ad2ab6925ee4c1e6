"""Theorems as data: what is claimed, under which assumptions, from which source, and the proof's steps.

Pure data without any algebra: the prover and the checker both read it, each with its own mathematics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Names = Mapping[str, str]


@dataclass(frozen=True)
class Axiom:
    """An assumption that a proof may use by name: a schematic relation, or (formula None) a principle in words.

    `variables` may be replaced freely by formulas of their kind; `condition` names a check of the instance. It
    holds where its `needs` hold, for every value of `point` if that names a kind: obligations of `consequence`.
    """

    id: str
    words: str
    formula: str | None = None
    variables: Names = field(default_factory=dict)
    condition: str | None = None
    needs: tuple[str, ...] = ()
    point: str = ""


@dataclass(frozen=True)
class Given:
    """A hypothesis of one theorem; only the names in `for_all` may be replaced by other values."""

    formula: str
    for_all: tuple[str, ...] = ()


@dataclass(frozen=True)
class Use:
    """`times` * (left - right) of a fact, after putting `values` in and differentiating by `derive`."""

    fact: str
    values: Names = field(default_factory=dict)
    times: str = "1"
    derive: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One inference. `by` names the rule; `children` prove the obligations that the rule leaves, in its order.

    algebra            left - right equals the sum of the uses, as generalised polynomials
    consequence        the same with axioms that have needs; the children prove these
    induction          base cases at `start`, then from `depth` previous values to the next; principle: induction
    constant           derivative in `variable` is zero, and the value at `start`; principle: mean-value
    increasing         left - right at `start` is >= 0 and its derivative is; principle: mean-value
    convex             left - right is >= 0 at `start`, its slope is 0 there, its second derivative >= 0; mean-value
    order-types        the claim holds in every weak order of `names`
    branch-and-bound   interval enclosures over a subdivision of `box`
    """

    by: str
    uses: tuple[Use, ...] = ()
    variable: str = ""
    start: str = ""
    depth: int = 1
    names: tuple[str, ...] = ()
    box: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    children: tuple["Step", ...] = ()


@dataclass(frozen=True)
class Statement:
    """What is claimed: every claim, for all values of the variables, under the hypotheses."""

    variables: Names
    claims: tuple[str, ...]
    definitions: Names = field(default_factory=dict)
    given: Mapping[str, Given] = field(default_factory=dict)


@dataclass(frozen=True)
class Theorem:
    """A statement with its proof.

    `parameters` says which variable is the dimension, the order and the normalisation power; `axioms` are
    ids of `AXIOMS`; `lemmas` are ids of theorems earlier in the library.
    """

    id: str
    topic: str
    title: str
    words: str
    statement: Statement
    proof: tuple[Step, ...]
    source: str
    axioms: tuple[str, ...] = ()
    lemmas: tuple[str, ...] = ()
    parameters: Names = field(default_factory=dict)


@dataclass(frozen=True)
class Refutation:
    """A wrong statement that must be refuted: `claim` fails at the witness, which is evaluated again.

    `witness` gives a number for every variable and a lambda for every function; the hypotheses hold there.
    """

    id: str
    mistake: str
    statement: Statement
    witness: Names
    theorem: str = ""


def consequence(*uses: Use, needs: tuple[Step, ...]) -> Step:
    """`algebra` with axioms that hold under conditions; `needs` proves the conditions, use by use."""
    return Step("consequence", uses, children=needs)


def algebra(*uses: Use) -> Step:
    """A step closed by normalisation, with facts."""
    return Step("algebra", uses)


def use(fact: str, times: str = "1", derive: str = "", /, **values: str) -> Use:
    """`use("change-of-variables", "s", h="lambda u: f(u)")`; `derive` lists variables separated by blanks."""
    return Use(fact, values, times, tuple(derive.split()))


def induction(variable: str, base: Step | tuple[Step, ...], step: Step, start: str = "0") -> Step:
    """Induction; several base cases mean that the step may use as many previous values."""
    bases = base if isinstance(base, tuple) else (base,)
    return Step("induction", variable=variable, start=start, depth=len(bases), children=(*bases, step))


def constant(variable: str, start: str, derivative: Step, value: Step) -> Step:
    """Left does not change with the variable, and its value at `start` is right."""
    return Step("constant", variable=variable, start=start, children=(derivative, value))


def convex(variable: str, value: Step, slope: Step, curvature: Step, start: str = "0") -> Step:
    """Left - right is >= 0 at `start`, has slope 0 there, and is convex on the line."""
    return Step("convex", variable=variable, start=start, children=(value, slope, curvature))


def increasing(variable: str, value: Step, slope: Step, start: str = "0") -> Step:
    """Left - right starts non-negative and does not fall."""
    return Step("increasing", variable=variable, start=start, children=(value, slope))
