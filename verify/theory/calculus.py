"""The checker's own differentiator: carries out D, At, Heat and definitions inside a formula. No sympy.

Everything here is elementary: sum, product and chain rule; derivatives of exp, log, sin, cos; unspecified
functions get their derivative index raised; the derivative of an integral or sum goes under the sign (the
assumption `differentiate-under-integral` of every theorem that uses it).
"""

from collections.abc import Mapping
from fractions import Fraction

from .normal import Kinds, TooLargeError, is_zero
from .terms import (
    MINUS_ONE,
    ONE,
    ZERO,
    FormulaError,
    Relation,
    Term,
    add,
    apply,
    free_names,
    mul,
    negate,
    number,
    parts,
    power,
    substitute,
    symbol,
)

MAX_HEAT_TERMS = 30
Definitions = Mapping[str, Term]  # name -> lambda, or a formula for a plain name
UNDER_INTEGRAL: set[str] = set()  # signs that a derivative has passed since the set was last cleared


def differentiate(term: Term, variable: str) -> Term:
    """D term / d variable. Operators inside must have been carried out (`expand`).

    Raises:
        FormulaError: the derivative is not defined here (max, fact of the variable, a defined operator).
    """
    if variable not in free_names(term):
        return ZERO
    if term.head == "sym":
        return ONE
    if term.head == "add":
        return add(*(differentiate(a, variable) for a in term.args))
    if term.head == "mul":
        return add(
            *(mul(*term.args[:i], differentiate(a, variable), *term.args[i + 1 :]) for i, a in enumerate(term.args))
        )
    if term.head == "pow":
        base, exponent = term.args
        if exponent == ZERO:
            return ZERO
        lower = power(base, _less_one(exponent))
        by_base = mul(exponent, lower, differentiate(base, variable))
        if variable not in free_names(exponent):
            return by_base
        return add(by_base, mul(term, apply("log", base), differentiate(exponent, variable)))
    if term.head != "app":
        raise FormulaError(f"cannot differentiate {term}")
    name, index, args = parts(term)
    if name in ("Int", "Sum"):
        if any(variable in free_names(a) for a in args[2:]):
            raise FormulaError(f"the dimension of an integral depends on {variable}")
        UNDER_INTEGRAL.add(name)
        return apply(name, differentiate(args[0], variable), *args[1:])
    if name in ("exp", "log", "sin", "cos"):
        inner = differentiate(args[0], variable)
        outer = {
            "exp": term,
            "log": power(args[0], MINUS_ONE),
            "sin": apply("cos", args[0]),
            "cos": negate(apply("sin", args[0])),
        }[name]
        return mul(outer, inner)
    if name in ("fact", "max", "D", "At", "Heat", "Sup", "Max"):
        raise FormulaError(f"cannot differentiate {name} in {variable}")
    orders = index or (ZERO,) * len(args)
    if len(orders) != len(args):
        # one index for a function of a vector: the generic coordinate is the first argument
        orders = index + (ZERO,) * (len(args) - len(index))
    terms = []
    for i, argument in enumerate(args):
        inner = differentiate(argument, variable)
        if inner != ZERO:
            raised = (*orders[:i], add(orders[i], ONE), *orders[i + 1 :])
            terms.append(mul(apply(name, *args, index=raised), inner))
    return add(*terms)


def _less_one(exponent: Term) -> Term:
    if isinstance(exponent.data, Fraction):
        return number(exponent.data - 1)
    return add(exponent, MINUS_ONE)


def expand(term: Term, definitions: Definitions, kinds: Kinds) -> Term:
    """Unfold definitions and carry out D, At and Heat, innermost first."""
    if term.head == "sym":
        value = definitions.get(str(term.data))
        return term if value is None or value.head == "lam" else expand(value, definitions, kinds)
    args = tuple(expand(a, definitions, kinds) for a in term.args)
    if term.head != "app":
        return Term(term.head, term.data, args)
    name, index, inner = parts(Term("app", term.data, args))
    if name in definitions:
        unfolded = substitute(apply(name, *inner, index=index), {name: definitions[name]})
        return expand(unfolded, definitions, kinds)
    if name == "D":
        body = inner[0]
        for variable in inner[1:]:
            body = differentiate(body, _variable(variable))
        return body
    if name == "At":
        if len(inner) != 3:
            raise FormulaError("At takes a formula, a variable and a value")
        return expand(substitute(inner[0], {_variable(inner[1]): inner[2]}), definitions, kinds)
    if name == "Heat":
        return _heat(inner, kinds)
    return Term("app", term.data, args)


def expand_relation(relation: Relation, definitions: Definitions, kinds: Kinds) -> Relation:
    """`expand` on both sides."""
    left, right = (expand(t, definitions, kinds) for t in (relation.left, relation.right))
    return Relation(left, relation.op, right)


def instantiate(relation: Relation, values: Mapping[str, Term], kinds: Kinds) -> Relation:
    """Put values in for variables (formulas) and functions (lambdas) of an expanded relation."""
    sides = (expand(substitute(t, values), {}, kinds) for t in (relation.left, relation.right))
    left, right = sides
    return Relation(left, relation.op, right)


def _variable(term: Term) -> str:
    if term.head != "sym":
        raise FormulaError(f"a variable is needed, got {term}")
    return str(term.data)


def _heat(args: tuple[Term, ...], kinds: Kinds) -> Term:
    """sum_k (s^2/2)^k / k! Laplacian^k of a polynomial: exact Gaussian smoothing of a polynomial image."""
    body, sigma, *axes = args
    names = [_variable(a) for a in axes]
    total, layer, factor = body, body, ONE
    for k in range(1, MAX_HEAT_TERMS):
        layer = add(*(differentiate(differentiate(layer, n), n) for n in names))
        if layer == ZERO or is_zero(layer, kinds):
            return total
        factor = mul(factor, power(sigma, number(2)), power(number(2 * k), MINUS_ONE))
        total = add(total, mul(factor, layer))
    raise TooLargeError("Heat needs a polynomial image of small degree")


def definitions_from(pairs: Mapping[str, Term]) -> dict[str, Term]:
    """Definitions must not refer to themselves: each may use those before it."""
    seen: dict[str, Term] = {}
    for name, body in pairs.items():
        if name in free_names(body):
            raise FormulaError(f"the definition of {name} refers to itself")
        later = [n for n in pairs if n not in seen and n in free_names(body)]
        if later:
            raise FormulaError(f"the definition of {name} uses {later[0]} before it is defined")
        seen[name] = body
    return seen


def variable_term(name: str) -> Term:
    """Shorthand used where a name turns into a formula."""
    return symbol(name)
