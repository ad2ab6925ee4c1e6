"""The formula language of the proof files: parse, print, substitute, differentiate. Plain Python only.

A formula is a string in Python's expression syntax, so a proof file can be read by eye:
`D(g(x, s), s) == s*D(g(x, s), x, x)`. Rational numbers are exact. Beyond `+ - * / **` there are

    F(x, s)          an unspecified function; `F[m, 0](x, s)` its m-th derivative in the first argument
    D(e, x, x, y)    derivatives, carried out by whoever reads the formula
    At(e, x, v)      e with v in place of x
    Int(e, u, N)     the integral of e over u in R^N; Sum(e, k) a sum over the finite or infinite range of k
    Sup(e, u, N)     the supremum of e over u in R^N; Max(e, k) the largest value over the range of k
    Heat(e, s, x, y) a polynomial image e(x, y) smoothed with standard deviation s: exp(s^2/2 Laplacian) e
    exp log sin cos fact max pi

Both the prover and the checker read this language; neither imports the other.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod

MAX_LENGTH = 4000
MAX_NODES = 3000
MAX_SIZE = 200_000
MAX_DEPTH = 60
MAX_DIGITS = 40
MAX_FOLDED_POWER = 12
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}\Z")
BINDERS = ("Int", "Sum", "Sup", "Max")
OPERATORS = ("D", "At", "Heat", *BINDERS)
ELEMENTARY = ("exp", "log", "sin", "cos", "fact", "max", "iff", "both", "either", "le", "same")
ARGUMENTS = {
    **dict.fromkeys(("exp", "log", "sin", "cos", "fact"), (1, 1)),
    **dict.fromkeys(("iff", "both", "either", "le", "same"), (2, 2)),
    **{"max": (1, None), "D": (2, None), "At": (3, 3), "Heat": (3, None)},
    **{"Int": (3, 3), "Sup": (3, 3), "Sum": (2, 2), "Max": (2, 2)},
}
RELATIONS = {ast.Eq: "==", ast.GtE: ">=", ast.LtE: "<=", ast.Gt: ">"}


class FormulaError(ValueError):
    """A string that is not a formula of the language, or is larger than any honest one."""


class Work:
    """Nodes built and terms multiplied so far, and how many a check may take: a long file cannot hang its reader."""

    done = 0
    allowed: int | None = None

    @classmethod
    def spend(cls, amount: int) -> None:
        """Count the work.

        Raises:
            FormulaError: more than is allowed.
        """
        cls.done += amount
        if cls.allowed is not None and cls.done > cls.allowed:
            raise FormulaError("the file asks for more work than any honest proof")

    @classmethod
    @contextmanager
    def limited(cls, allowed: int) -> Iterator[None]:
        """At most so much work inside; a limit around this one counts on."""
        if cls.allowed is not None:
            yield
            return
        cls.done, cls.allowed = 0, allowed
        try:
            yield
        finally:
            cls.allowed = None


@dataclass(frozen=True, slots=True)
class Term:
    """A formula: `head` one of num, sym, add, mul, pow, app, lam; `data` and `args` hold the rest.

    num: data the Fraction. sym: data the name. app: data (name, number of derivative indices), args the
    indices followed by the arguments. lam: data the parameter names, args the body.
    """

    head: str
    data: object = None
    args: "tuple[Term, ...]" = ()
    free: frozenset[str] = field(init=False, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        Work.spend(1)
        size = 1 + sum(a.size for a in self.args)
        if size > MAX_SIZE:
            raise FormulaError("a formula grows too large when its derivatives are carried out")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "free", _free_names(self))

    def __str__(self) -> str:
        return to_string(self)


def number(value: Fraction | int) -> Term:
    """The rational number as a formula."""
    return Term("num", Fraction(value))


def symbol(name: str) -> Term:
    """The variable `name` as a formula."""
    return Term("sym", name)


def add(*terms: Term) -> Term:
    """Sum; zeros dropped."""
    kept = tuple(t for t in terms if t != ZERO)
    return ZERO if not kept else kept[0] if len(kept) == 1 else Term("add", None, kept)


def mul(*terms: Term) -> Term:
    """Product; ones dropped, zero absorbs."""
    if ZERO in terms:
        return ZERO
    kept = tuple(t for t in terms if t != ONE)
    return ONE if not kept else kept[0] if len(kept) == 1 else Term("mul", None, kept)


def power(base: Term, exponent: Term) -> Term:
    """Power; exponent 1 dropped."""
    return base if exponent == ONE else Term("pow", None, (base, exponent))


def apply(name: str, *args: Term, index: tuple[Term, ...] = ()) -> Term:
    """A function or operator applied to arguments, with derivative indices."""
    return Term("app", (name, len(index)), (*index, *args))


def negate(term: Term) -> Term:
    """-term."""
    return mul(MINUS_ONE, term)


def parts(term: Term) -> tuple[str, tuple[Term, ...], tuple[Term, ...]]:
    """Name, derivative indices and arguments of an application."""
    assert isinstance(term.data, tuple)
    name, count = term.data
    return name, term.args[:count], term.args[count:]


@dataclass(frozen=True, slots=True)
class Relation:
    """`left op right` with op one of ==, >=, <=, >."""

    left: Term
    op: str
    right: Term

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


def _tree(text: str) -> ast.expr:
    if not isinstance(text, str):
        raise FormulaError(f"a formula must be a string, got {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"a formula must have at most {MAX_LENGTH} characters, got {len(text)}")
    depth = deepest = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH or re.search(r"[-+~]{20}", text.replace(" ", "")):
        raise FormulaError(f"a formula must be nested at most {MAX_DEPTH} deep")
    if re.search(rf"\d{{{MAX_DIGITS + 1}}}", text):
        raise FormulaError(f"a number must have at most {MAX_DIGITS} digits")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise FormulaError(f"not a formula: {text[:60]!r}") from error


def _convert(node: ast.expr, budget: list[int]) -> Term:
    budget[0] -= 1
    if budget[0] < 0:
        raise FormulaError(f"a formula must have at most {MAX_NODES} parts")
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return number(value)
        case ast.Name(id=name):
            return symbol(_name(name))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _convert(operand, budget)
            return number(-inner.data) if isinstance(inner.data, Fraction) else negate(inner)
        case ast.BinOp(left=a, op=operation, right=b):
            left, right = _convert(a, budget), _convert(b, budget)
            match operation:
                case ast.Add():
                    return Term("add", None, (left, right))
                case ast.Sub():
                    return Term("add", None, (left, negate(right)))
                case ast.Mult():
                    return Term("mul", None, (left, right))
                case ast.Div():
                    if isinstance(left.data, Fraction) and isinstance(right.data, Fraction):
                        if right.data == 0:
                            raise FormulaError("division by zero")
                        return number(left.data / right.data)
                    return Term("mul", None, (left, Term("pow", None, (right, MINUS_ONE))))
                case ast.Pow():
                    return Term("pow", None, (left, right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _call(apply(_name(name), *(_convert(a, budget) for a in args)))
        case ast.Call(func=ast.Subscript(value=ast.Name(id=name), slice=index), args=args, keywords=[]):
            indices = index.elts if isinstance(index, ast.Tuple) else [index]
            return _call(
                apply(
                    _name(name),
                    *(_convert(a, budget) for a in args),
                    index=tuple(_convert(i, budget) for i in indices),
                )
            )
        case ast.Lambda(
            args=ast.arguments(posonlyargs=[], args=names, vararg=None, kwonlyargs=[], kwarg=None, defaults=[]),
            body=body,
        ):
            parameters = tuple(_name(a.arg) for a in names)
            if len(set(parameters)) != len(parameters):
                raise FormulaError("a parameter of a function occurs twice")
            return Term("lam", parameters, (_convert(body, budget),))
    raise FormulaError(f"not part of the formula language: {ast.unparse(node)[:60]!r}")


def _call(term: Term) -> Term:
    """An application; what has a meaning of its own takes so many arguments and no derivative index."""
    name, index, args = parts(term)
    low, high = ARGUMENTS.get(name, (1, None))
    if len(args) < low or (high is not None and len(args) > high) or (index and name in ARGUMENTS):
        raise FormulaError(f"{name} does not take {len(args)} arguments and {len(index)} indices")
    return term


def _name(name: str) -> str:
    if not NAME.match(name):
        raise FormulaError(f"not a name: {name[:40]!r}")
    return name


def _guarded(node: ast.expr) -> Term:
    try:
        return _convert(node, [MAX_NODES])
    except RecursionError as error:
        raise FormulaError("a formula is nested too deep") from error


def parse(text: str) -> Term:
    """The formula in `text`.

    Raises:
        FormulaError: not a formula of the language, or too large.
    """
    return _guarded(_tree(text))


def parse_relation(text: str) -> Relation:
    """The equation or inequality in `text`: two formulas around ==, >=, <= or >.

    Raises:
        FormulaError: not a relation, or too large.
    """
    match _tree(text):
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            if type(operator) in RELATIONS:
                return Relation(_guarded(left), RELATIONS[type(operator)], _guarded(right))
    raise FormulaError(f"not an equation or inequality: {text[:60]!r}")


def to_string(term: Term, level: int = 0) -> str:
    """The formula in its own language; `parse` reads it back.

    `level`: 0 sum, 1 product, 2 base of a power; decides the parentheses.
    """
    if term.head == "num":
        assert isinstance(term.data, Fraction)
        text = str(term.data)
        wrap = (level >= 1 and "/" in text) or (level >= 1 and term.data < 0)
        return f"({text})" if wrap else text
    if term.head == "sym":
        return str(term.data)
    if term.head == "add":
        text = " + ".join(to_string(a) for a in term.args).replace("+ -", "- ")
        return f"({text})" if level else text
    if term.head == "mul":
        sign, factors = ("-", term.args[1:]) if term.args[0] == MINUS_ONE else ("", term.args)
        text = sign + "*".join(to_string(a, 1) for a in factors)
        return f"({text})" if level >= 2 or (level == 1 and sign) else text
    if term.head == "pow":
        text = f"{to_string(term.args[0], 2)}**{to_string(term.args[1], 2)}"
        return f"({text})" if level >= 2 else text
    if term.head == "lam":
        assert isinstance(term.data, tuple)
        return f"lambda {', '.join(term.data)}: {to_string(term.args[0])}"
    name, index, args = parts(term)
    subscript = f"[{', '.join(to_string(i) for i in index)}]" if index else ""
    return f"{name}{subscript}({', '.join(to_string(a) for a in args)})"


def folded(term: Term) -> Term:
    """The outermost sum, product or power with its numbers worked out; x^1 and x^0 gone."""
    if term.head == "pow":
        base, exponent = term.args
        if exponent == ZERO:
            return ONE
        match base.data, exponent.data:
            case Fraction() as value, Fraction(denominator=1) as times if value and abs(times) <= MAX_FOLDED_POWER:
                return number(value ** int(times))
        return power(base, exponent)
    if term.head not in ("add", "mul"):
        return term
    parts_ = [t for a in term.args for t in (a.args if a.head == term.head else (a,))]
    numbers = [p.data for p in parts_ if isinstance(p.data, Fraction)]
    rest = [p for p in parts_ if not isinstance(p.data, Fraction)]
    if term.head == "mul":
        return mul(number(prod(numbers, start=Fraction(1))), *rest)
    return add(*parts_) if len(numbers) < 2 else add(*rest, number(sum(numbers, Fraction(0))))


def bound(term: Term) -> str | None:
    """The variable that an integral, a sum, a supremum or an evaluation binds, else None."""
    if term.head == "app":
        name, _, args = parts(term)
        if (name == "At" or name in BINDERS) and len(args) >= 2 and args[1].head == "sym":
            return str(args[1].data)
    return None


def free_names(term: Term) -> frozenset[str]:
    """Names of variables and functions that occur free."""
    return term.free


def _free_names(term: Term) -> frozenset[str]:
    if term.head == "sym":
        return frozenset([str(term.data)])
    inner = frozenset[str]().union(*(a.free for a in term.args))
    if term.head == "lam":
        assert isinstance(term.data, tuple)
        return inner - frozenset(term.data)
    if term.head == "app":
        name = parts(term)[0]
        variable = bound(term)
        if variable:
            inner = frozenset[str]().union(term.args[0].free - {variable}, *(a.free for a in term.args[2:]))
        return inner if name in OPERATORS + ELEMENTARY else inner | {name}
    return inner


def substitute(term: Term, values: Mapping[str, Term]) -> Term:
    """Replace variables by formulas and functions by lambdas, all at once, avoiding capture.

    A derivative `F[k](...)` of a replaced function becomes the k-th derivative of its body (k a number).
    """
    values = {k: v for k, v in values.items() if v != symbol(k)}
    if not values or not (free_names(term) & values.keys()):
        return term
    if term.head == "sym":
        value = values.get(str(term.data), term)
        if value.head == "lam":
            raise FormulaError(f"{term.data} is a variable, a function was given for it")
        return value
    if term.head == "lam":
        assert isinstance(term.data, tuple)
        names, (body,) = _fresh(term.data, term.args, values)
        inner = {k: v for k, v in values.items() if k not in names}
        return Term("lam", names, (substitute(body, inner),))
    variable = bound(term)
    if variable is not None:
        name, _, args = parts(term)
        (variable,), (body,) = _fresh((variable,), args[:1], values)
        inner = {k: v for k, v in values.items() if k != variable}
        rest = [substitute(a, values) for a in args[2:]]
        return apply(name, substitute(body, inner), symbol(variable), *rest)
    args = tuple(substitute(a, values) for a in term.args)
    if term.head == "app":
        name, index, inner_args = parts(Term("app", term.data, args))
        if name in values:
            return _beta(name, values[name], index, inner_args)
    return Term(term.head, term.data, args)


def _fresh(
    names: tuple[str, ...], bodies: tuple[Term, ...], values: Mapping[str, Term]
) -> tuple[tuple[str, ...], tuple[Term, ...]]:
    taken = frozenset[str]().union(*(free_names(v) for v in values.values()))
    renamed = {}
    for name in names:
        fresh = name
        while fresh in taken:
            fresh = f"{fresh}_"[:40] if len(fresh) < 40 else f"v{len(taken)}"
        if fresh != name:
            renamed[name] = symbol(fresh)
    new_names = tuple(str(renamed[n].data) if n in renamed else n for n in names)
    return new_names, tuple(substitute(b, renamed) for b in bodies)


def _beta(name: str, function: Term, index: tuple[Term, ...], args: tuple[Term, ...]) -> Term:
    if function.head == "sym":
        return apply(str(function.data), *args, index=index)
    if function.head != "lam":
        raise FormulaError(f"{name} is a function, the value given for it is not")
    assert isinstance(function.data, tuple)
    names, (body,) = function.data, function.args
    if len(names) != len(args):
        raise FormulaError(f"{name} takes {len(names)} arguments, got {len(args)}")
    for parameter, order in zip(names, index, strict=False):
        if not isinstance(order.data, Fraction) or not 0 <= order.data <= 12:
            raise FormulaError(f"{name}: derivative order {order} of a defined function")
        body = apply("D", body, *[symbol(parameter)] * int(order.data)) if order.data else body
    if any(i != ZERO for i in index):
        # the derivative is taken before the arguments go in
        fresh = {p: symbol(f"{p}__") for p in names}
        body = substitute(body, fresh)
        for parameter, value in zip(names, args, strict=True):
            body = apply("At", body, symbol(f"{parameter}__"), value)
        return body
    return substitute(body, dict(zip(names, args, strict=True)))


ZERO, ONE, MINUS_ONE = number(0), number(1), number(-1)
