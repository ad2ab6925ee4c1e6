"""The prover's mathematics: formulas as sympy expressions, and three decidable ways to compare them.

`simplify`, `equals` and numerics are not used. An equation is closed by `vanishes`: every power, exponential,
function application and integral becomes an independent atom and the numerator of the difference must expand to
zero over Q. Derivatives and substitutions are sympy's own; only the parser and the reading of definitions are shared with the checker.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sympy

from .terms import Term, parts

ASSUMPTIONS: dict[str, dict[str, bool]] = {
    "positive": {"positive": True},
    "nonnegative": {"nonnegative": True},
    "real": {"real": True},
    "vector": {"real": True},
    "integer": {"integer": True},
    "natural": {"integer": True, "nonnegative": True},
}


class Applied(sympy.Function):  # type: ignore[misc]
    """An unspecified function with derivative indices: arguments (name, number of indices, indices, values)."""

    is_real = True

    @classmethod
    def eval(cls, *args: Any) -> Any:
        """Drops a last index that is zero."""
        count = int(args[1])
        if count and args[1 + count] == 0:
            return cls(args[0], count - 1, *args[2 : 1 + count], *args[2 + count :])
        return None

    def _eval_derivative(self, variable: Any) -> Any:
        name, count, *rest = self.args
        index, values = rest[: int(count)], rest[int(count) :]
        index = list(index) + [sympy.S.Zero] * (len(values) - len(index))
        total = sympy.S.Zero
        for i, value in enumerate(values):
            inner = sympy.diff(value, variable)
            if inner != 0:
                raised = [o + 1 if j == i else o for j, o in enumerate(index)]
                total += applied(name, raised, values) * inner
        return total


def applied(name: Any, index: list[Any], values: list[Any]) -> Any:
    """`name[index](values)` with trailing zero indices dropped."""
    index = [sympy.expand(i) for i in index]
    while index and index[-1] == 0:
        index.pop()
    return Applied(name, len(index), *index, *values)


class Binding(sympy.Function):  # type: ignore[misc]
    """An integral, sum or supremum: arguments (kind, body, bound symbol, dimension...)."""

    @classmethod
    def eval(cls, *args: Any) -> None:
        """Never evaluates."""

    def _eval_derivative(self, variable: Any) -> Any:
        kind, body, *rest = self.args
        if str(kind) in ("Sup", "Max"):
            raise ValueError(f"{kind} has no derivative")
        return Binding(kind, sympy.diff(body, variable), *rest)


class Reader:
    """Translates formulas; knows the declarations and definitions of one statement."""

    def __init__(self, variables: Mapping[str, str], definitions: Mapping[str, Term]) -> None:
        self.definitions = definitions
        self.symbols = {"pi": sympy.pi}
        for name, kind in variables.items():
            if kind != "function":
                self.symbols[name] = sympy.Symbol(name, **ASSUMPTIONS.get(kind, {"real": True}))

    def symbol(self, name: str) -> Any:
        """The declared symbol; undeclared ones (bound variables) are real."""
        return self.symbols.setdefault(name, sympy.Symbol(name, real=True))

    def read(self, term: Term, functions: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
        """The formula as an expression; `functions` maps names to Python callables or other names."""
        functions = functions or {}

        def go(t: Term) -> Any:
            return self.read(t, functions, depth)

        match term.head:
            case "num":
                return sympy.Rational(term.data.numerator, term.data.denominator)  # type: ignore[attr-defined]
            case "sym":
                definition = self.definitions.get(str(term.data))
                return self.symbol(str(term.data)) if definition is None else go(definition)
            case "add":
                return sympy.Add(*(go(a) for a in term.args))
            case "mul":
                return sympy.Mul(*(go(a) for a in term.args))
            case "pow":
                return sympy.Pow(*(go(a) for a in term.args))
            case "lam":
                return self.callable(term, functions, depth)
        name, index, args = parts(term)
        match name:
            case "D":
                return sympy.diff(go(args[0]), *(go(v) for v in args[1:]))
            case "At":
                return go(args[0]).subs(go(args[1]), go(args[2]))
            case "Int" | "Sum" | "Sup" | "Max":
                bound = sympy.Dummy(f"bound{depth}", real=True)
                old = self.symbols.get(str(args[1].data))
                self.symbols[str(args[1].data)] = bound
                body = self.read(args[0], functions, depth + 1)
                if old is None:
                    del self.symbols[str(args[1].data)]
                else:
                    self.symbols[str(args[1].data)] = old
                return Binding(sympy.Symbol(name), body, bound, *(go(a) for a in args[2:]))
            case "Heat":
                return self._heat([go(a) for a in args])
            case "exp" | "log" | "sin" | "cos":
                return getattr(sympy, name)(go(args[0]))
            case "fact":
                return sympy.factorial(go(args[0]))
            case "max":
                return sympy.Max(*(go(a) for a in args))
        values, orders = [go(a) for a in args], [go(i) for i in index]
        target = functions.get(name, self.definitions.get(name))
        if isinstance(target, Term):
            target = self.callable(target, functions, depth)
        if isinstance(target, str):
            return applied(sympy.Symbol(target), orders, values)
        if target is None:
            return applied(sympy.Symbol(name), orders, values)
        if not any(orders):
            return target(*values)
        slots = [sympy.Dummy(real=True) for _ in values]
        body = target(*slots)
        for slot, order in zip(slots, orders, strict=False):
            body = sympy.diff(body, slot, int(order)) if order else body
        return body.subs(dict(zip(slots, values, strict=True)), simultaneous=True)

    def callable(self, term: Term, functions: Mapping[str, Any], depth: int) -> Any:
        """A lambda as a Python function on expressions; a name as the name."""
        if term.head == "sym":
            return functions.get(str(term.data), str(term.data))
        names = term.data
        assert isinstance(names, tuple)

        def call(*values: Any) -> Any:
            slots = [sympy.Dummy(real=True) for _ in names]
            saved = {n: self.symbols.get(n) for n in names}
            self.symbols.update(dict(zip(names, slots, strict=True)))
            body = self.read(term.args[0], functions, depth + 1)
            for n, old in saved.items():
                if old is None:
                    self.symbols.pop(n, None)
                else:
                    self.symbols[n] = old
            return body.subs(dict(zip(slots, values, strict=True)), simultaneous=True)

        return call

    def _heat(self, args: list[Any]) -> Any:
        body, sigma, *axes = args
        total, layer, k = body, body, 0
        while True:
            layer = sympy.expand(sum(sympy.diff(layer, a, 2) for a in axes))
            k += 1
            if layer == 0:
                return total
            if k > 30:
                raise ValueError("Heat needs a polynomial image")
            total += (sigma**2 / 2) ** k / sympy.factorial(k) * layer


def _integrals(expression: Any) -> Any:
    """Innermost first: expand the body, take constants out, split sums, name the bound variable canonically."""

    def rebuild(kind: Any, body: Any, bound: Any, *rest: Any) -> Any:
        body = spread(_integrals(body))
        level = 1 + max(
            (int(str(d.name)[5:]) for d in body.atoms(sympy.Symbol) if str(d.name).startswith("slot.")),
            default=-1,
        )
        slot = sympy.Symbol(f"slot.{level}", real=True)
        if str(kind) in ("Sup", "Max"):
            return Binding(kind, body.subs(bound, slot), slot, *rest)
        total = sympy.S.Zero
        for summand in sympy.Add.make_args(body.subs(bound, slot)):
            outside, inside = summand.as_independent(slot, as_Add=False)
            total += outside * Binding(kind, inside, slot, *rest)
        return total

    found = {i for i in expression.atoms(Binding) if not any(i != j and j.has(i) for j in expression.atoms(Binding))}
    return expression.xreplace({i: rebuild(*i.args) for i in found})


def _factorials(expression: Any) -> Any:
    def shift(argument: Any) -> Any:
        constant, rest = sympy.expand(argument).as_coeff_Add()
        if rest == 0 or not constant.is_Integer or constant == 0:
            return sympy.factorial(argument)
        base = sympy.factorial(rest)
        if constant > 0:
            return base * sympy.Mul(*(rest + j for j in range(1, int(constant) + 1)))
        return base / sympy.Mul(*(rest + j for j in range(int(constant) + 1, 1)))

    return expression.replace(sympy.factorial, shift)


def _arguments(expression: Any) -> Any:
    """Expand the arguments of functions, so that equal applications are equal trees."""
    if not expression.args:
        return expression
    args = [_arguments(a) for a in expression.args]
    if isinstance(expression, (Applied, sympy.exp, sympy.cos, sympy.sin, sympy.Max)):
        args = [sympy.expand(a) if isinstance(a, sympy.Expr) else a for a in args]
    return expression.func(*args)


def _even_sines(expression: Any) -> Any:
    return expression.replace(
        lambda e: e.is_Pow and isinstance(e.base, sympy.sin) and e.exp.is_Integer and e.exp >= 2,
        lambda e: (1 - sympy.cos(e.base.args[0]) ** 2) ** (e.exp // 2) * e.base ** (e.exp % 2),
    )


def spread(expression: Any) -> Any:
    """Products and powers multiplied out, logarithms of products split."""
    return sympy.expand_log(sympy.expand(_even_sines(sympy.expand(expression))))


def canonical(expression: Any) -> Any:
    """Expanded, with equal applications, integrals and factorials as equal trees."""
    return spread(_factorials(_arguments(_integrals(_arguments(expression)))))


@lru_cache(maxsize=4096)
def vanishes(expression: Any) -> bool:
    """The expression is zero as a rational function of its atoms. False proves nothing."""
    expression = canonical(expression)
    if expression == 0:
        return True
    numerator = sympy.numer(sympy.together(expression))
    return bool(spread(numerator) == 0)


def _joined(expression: Any) -> Any:
    """b^(n + 1)/b as b^n, before the sum b is multiplied out."""
    if not expression.args:
        return expression
    args = [_joined(a) for a in expression.args]
    if not expression.is_Mul:
        return expression.func(*args)
    powers: dict[Any, Any] = {}
    for base, exponent in (a.as_base_exp() for a in args):
        powers[base] = powers.get(base, 0) + exponent
    return sympy.Mul(*(base ** sympy.expand(exponent) for base, exponent in powers.items()))


def manifestly_nonnegative(expression: Any) -> bool:
    """Each term of the expansion is non-negative by its declared atoms."""
    if all(t.is_nonnegative for t in sympy.Add.make_args(canonical(expression))):
        return True
    return all(t.is_nonnegative for t in sympy.Add.make_args(canonical(_joined(expression))))
