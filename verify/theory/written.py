"""What a theorem is when it is written out for numbers, and the pieces that such formulas are made of. Pure data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from .model import Refutation, Statement, Step, Theorem
from .parameters import Parameters

POINT, PLACE = ("x", "y", "z"), ("u", "v", "w")


@dataclass(frozen=True)
class Line:
    """One claim on the way, how it is proved, why it is there, and whether it belongs to the result."""

    claim: str
    proof: Step
    reason: str
    result: bool = True


@dataclass(frozen=True)
class WrittenOut:
    """A theorem written out.

    Attributes:
        theorem: what is proved, a claim a line.
        lines: the claims with their reasons.
        parameters: the values, defaults filled in.
        wrong: the statement that was asked for, where the parameters make it false, with a witness.
        residual: the factor that survives in it.
    """

    theorem: Theorem
    lines: tuple[Line, ...]
    parameters: Parameters
    wrong: Refutation | None = None
    residual: str | None = None


def multi_indices(ndim: int, order: int) -> Iterator[tuple[int, ...]]:
    """All multi-indices of that total order, in order (2, 0), (1, 1), (0, 2)."""
    if ndim == 1:
        yield (order,)
        return
    for first in range(order, -1, -1):
        for rest in multi_indices(ndim - 1, order - first):
            yield (first, *rest)


def hermite(order: int, variable: str, factor: int = 1) -> str:
    """The Hermite polynomial with the recursion h_(n+1) = factor (y h_n - n h_(n-1)).

    Factor 1: the derivative of order m of exp(-y^2/2) is (-1)^m h_m exp(-y^2/2). Factor 2: the same for exp(-y^2).
    """
    previous, current = [0], [1]
    for n in range(order):
        following = [0, *(factor * c for c in current)]
        for i, value in enumerate(previous):
            following[i] -= factor * n * value
        previous, current = current, following
    return " + ".join(reversed([_monomial(c, variable, i) for i, c in enumerate(current) if c])).replace("+ -", "- ")


def _monomial(coefficient: int, variable: str, exponent: int) -> str:
    power = {0: "", 1: variable}.get(exponent, f"{variable}**{exponent}")
    if not power or abs(coefficient) != 1:
        return f"{coefficient}*{power}".removesuffix("*")
    return power if coefficient == 1 else f"-{power}"


def iterated(body: str, variables: Sequence[str]) -> str:
    """The integral over each variable in turn."""
    for name in variables:
        body = f"Int({body}, {name}, 1)"
    return body


def raised(base: str, exponent: Fraction | int) -> str:
    """The power, written as one writes it for exponents 0 and 1."""
    return "1" if exponent == 0 else base if exponent == 1 else f"{base}**({exponent})"


def product(*factors: str) -> str:
    """The factors other than 1, each with a star behind it."""
    return "".join(f"{f}*" for f in factors if f != "1")


def repeated(index: Sequence[int], names: Sequence[str]) -> list[str]:
    """Each name as often as its order: what D and `derive` take."""
    return [name for name, k in zip(names, index, strict=True) for _ in range(k)]


def indexed(name: str, index: Sequence[int]) -> str:
    """`F[2, 1]`, or `F` where every order is zero."""
    return f"{name}[{', '.join(map(str, index))}]" if any(index) else name


def listed(names: Sequence[str], before: str = "", after: str = "") -> str:
    """Names separated by commas, each with something around it."""
    return ", ".join(f"{before}{n}{after}" for n in names)


def dimensions(ndim: int) -> str:
    """The number in words of a sentence."""
    return f"{ndim} dimension{'s' * (ndim > 1)}"


def written(
    theorem: Theorem,
    p: Parameters,
    statement: Statement,
    lines: Sequence[Line],
    axioms: tuple[str, ...] = (),
    lemmas: tuple[str, ...] = (),
    words: str = "",
) -> WrittenOut:
    """The lines as claims of the statement, under the theorem's own id and source."""
    own = Theorem(
        theorem.id,
        theorem.topic,
        f"{theorem.title} ({p})",
        words or theorem.words,
        replace(statement, claims=tuple(line.claim for line in lines)),
        tuple(line.proof for line in lines),
        theorem.source,
        axioms,
        lemmas,
        theorem.parameters,
    )
    return WrittenOut(own, tuple(lines), p)
