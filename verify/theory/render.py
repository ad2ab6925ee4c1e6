"""Formulas of the language as mathematics. Plain Python: the checker uses it too.

One document tree (`notation.Box`) is built from a formula and printed in each notation, so they never differ.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from .notation import REALS, SPACE, Box, fence, flat, latex, mathml, row, sign
from .terms import MINUS_ONE, ONE, Relation, Term, number, parts

UPRIGHT = frozenset({"log", "sin", "cos", "max", "relu"})
SIGNS = {"==": ("=", "="), ">=": (r"\geq", "≥"), "<=": (r"\leq", "≤"), ">": (">", ">")}
LOGIC = {
    "le": (r"\leq", "≤"),
    "same": ("=", "="),
    "both": (r"\wedge", "∧"),
    "either": (r"\vee", "∨"),
    "iff": (r"\Leftrightarrow", "⇔"),
}
SUBSCRIPTED = re.compile(r"([a-w])([xyz]+)\Z")
MINUS = Box("minus")
HALF = Fraction(1, 2)


def name_box(name: str) -> Box:
    """A variable: `sigma_0` is sigma with subscript 0, `Fp` is F', `sxy` is s with subscript xy."""
    if name == "lam":
        name = "lambda"
    if len(name) == 2 and name[0].isupper() and name[1] == "p":
        return Box("prime", "", (Box("name", name[0]),))
    if name.endswith("_"):  # renamed, because the name was taken
        return Box("prime", "", (name_box(name[:-1]),))
    head, _, tail = name.partition("_")
    if match := SUBSCRIPTED.match(head):
        head, tail = match.groups()
    while head[-1].isdigit() and len(head) > 1 and not tail:
        head, tail = head[:-1], head[-1]
    if tail:
        return Box("sub", "", (Box("name", head), Box("number" if tail.isdigit() else "name", tail)))
    return Box("name", name)


def build(term: Term, level: int = 0) -> Box:
    """The formula as a box; level 0 sum, 1 product, 2 base of a power."""
    match term.head:
        case "num":
            assert isinstance(term.data, Fraction)
            box = _rational(abs(term.data))
            box = row(MINUS, box) if term.data < 0 else box
            return fence(box) if (term.data < 0 and level) or (level >= 2 and term.data.denominator != 1) else box
        case "sym":
            return name_box(str(term.data))
        case "add":
            box = row(*(b for i, a in enumerate(term.args) for b in _summand(a, i == 0)))
            return fence(box) if level else box
        case "mul":
            return _product(term, level)
        case "pow":
            return _power(term, level)
        case "lam":
            assert isinstance(term.data, tuple)
            names = _commas([name_box(n) for n in term.data])
            return row(names, sign(r"\mapsto", "↦"), build(term.args[0]))
    return _application(term, level)


def _rational(value: Fraction) -> Box:
    whole = Box("number", str(value.numerator))
    return whole if value.denominator == 1 else Box("frac", "", (whole, Box("number", str(value.denominator))))


def _summand(term: Term, first: bool) -> list[Box]:
    negative, rest = _split_sign(term)
    box = build(rest, 1 if negative and rest.head == "add" else 0)
    if first:
        return [MINUS, box] if negative else [box]
    return [sign("-", "−") if negative else sign("+"), box]


def _split_sign(term: Term) -> tuple[bool, Term]:
    """Whether a minus stands before it, and what follows."""
    if isinstance(term.data, Fraction) and term.data < 0:
        return True, number(-term.data)
    if term.head == "mul":
        coefficient, factors = _coefficient(term)
        if coefficient < 0:
            return True, _times(-coefficient, factors)
    return False, term


def _times(coefficient: Fraction, factors: list[Term]) -> Term:
    kept = factors if coefficient == 1 and factors else [number(coefficient), *factors]
    return kept[0] if len(kept) == 1 else Term("mul", None, tuple(kept))


def _flatten(term: Term) -> list[Term]:
    if term.head == "mul":
        return [f for a in term.args for f in _flatten(a)]
    return [term]


def _coefficient(term: Term) -> tuple[Fraction, list[Term]]:
    """The numbers of a product multiplied together, and the other factors."""
    coefficient, factors = Fraction(1), []
    for factor in _flatten(term):
        if isinstance(factor.data, Fraction):
            coefficient *= factor.data
        elif factor.head == "pow" and factor.args[1] == MINUS_ONE and isinstance(factor.args[0].data, Fraction):
            coefficient /= factor.args[0].data
        else:
            factors.append(factor)
    return coefficient, factors


def _inverse(term: Term) -> Term | None:
    """The base to a positive power if the term is a negative whole power or one over a root, else None."""
    if term.head == "pow":
        base, exponent = term.args
        if (
            isinstance(exponent.data, Fraction)
            and exponent.data < 0
            and (
                exponent.data.denominator == 1 or (exponent.data == -HALF and (base.head != "sym" or base.data == "pi"))
            )
        ):
            return base if exponent.data == -1 else Term("pow", None, (base, number(-exponent.data)))
    return None


def _is_integral(term: Term) -> bool:
    return term.head == "app" and parts(term)[0] in ("Int", "Sum")


def _product(term: Term, level: int) -> Box:
    coefficient, factors = _coefficient(term)
    negative, coefficient = coefficient < 0, abs(coefficient)
    integrals = [f for f in factors if _is_integral(f)]
    above, below = [], []
    for factor in factors:
        inverse = _inverse(factor)
        if inverse is not None:
            below.append(inverse)
        elif not _is_integral(factor):
            above.append(factor)
    if coefficient.denominator != 1:
        below.insert(0, number(coefficient.denominator))
    if coefficient.numerator != 1 or not (above or below or integrals):
        above.insert(0, number(coefficient.numerator))
    if not (below or integrals or negative) and len(above) == 1:
        return build(above[0], level)
    boxes = [_factors(above, 0 if below else 1)] if above or below else []
    if below:
        boxes = [Box("frac", "", (*boxes, _factors(below)))]
    for i, integral in enumerate(integrals, 1):
        # only the last integral can go without parentheses
        boxes += [SPACE] * bool(boxes) + [build(integral, int(i < len(integrals)))]
    box = row(*([MINUS] * negative), *boxes)
    return fence(box) if level >= 2 or (level and (negative or integrals)) else box


def _factors(factors: Sequence[Term], alone: int = 0) -> Box:
    """Factors side by side; `alone` is the level of a single one."""
    if not factors:
        return Box("number", "1")
    if len(factors) == 1:
        return build(factors[0], alone)
    boxes: list[Box] = []
    for factor in sorted(factors, key=lambda f: not _is_number(f)):
        if boxes:
            boxes.append(sign(r"\cdot", "·") if _is_number(factor) else SPACE)
        boxes.append(build(factor, 1))
    return row(*boxes)


def _is_number(term: Term) -> bool:
    return term.head == "num" or (term.head == "pow" and term.args[0].head == "num")


def _power(term: Term, level: int) -> Box:
    base, exponent = term.args
    inverse = _inverse(term)
    if inverse is not None:
        box = Box("frac", "", (Box("number", "1"), build(inverse)))
        return fence(box) if level >= 2 else box
    if exponent == ONE:
        return build(base, level)
    if exponent.data == HALF:
        return Box("root", "", (build(base),))
    box = Box("sup", "", (build(base, 2), flat(build(exponent))))
    return fence(box) if level >= 2 else box


def _commas(boxes: Sequence[Box]) -> Box:
    return row(*(b for i, box in enumerate(boxes) for b in ([sign(","), box] if i else [box])))


def _partial(variable: Box, count: int) -> Box:
    sign_ = sign(r"\partial", "∂")
    if count > 1:
        return Box("subsup", "", (sign_, variable, Box("number", str(count))))
    return Box("sub", "", (sign_, variable))


def _application(term: Term, level: int) -> Box:
    name, index, args = parts(term)
    if name == "exp":
        box = Box("sup", "", (Box("upright", "e"), flat(build(args[0]))))
        return fence(box) if level >= 2 else box
    if name == "fact":
        return row(build(args[0], 2), sign("!"))
    if name in LOGIC and len(args) == 2:
        box = row(build(args[0]), sign(*LOGIC[name]), build(args[1]))
        return box if name == "iff" else fence(box)
    if name == "D" and args:
        counts: dict[Term, int] = {}
        for a in args[1:]:
            counts[a] = counts.get(a, 0) + 1
        box = row(*(_partial(build(v), c) for v, c in counts.items()), SPACE, build(args[0], 2))
        return fence(box) if level >= 2 else box
    if name == "At" and len(args) == 3:
        return _evaluation(term)
    if name in ("Int", "Sum") and len(args) >= 2:
        box = _integral(name, args)
        return fence(box) if level else box
    if name in ("Sup", "Max") and len(args) >= 2:
        box = row(Box("sub", "", (Box("upright", name.lower()), build(args[1]))), SPACE, build(args[0], 1))
        return fence(box) if level else box
    if name == "Heat" and len(args) >= 3:
        square, nabla = (Box("sup", "", (b, Box("number", "2"))) for b in (build(args[1], 2), sign(r"\nabla", "∇")))
        smoothing = Box("sup", "", (Box("upright", "e"), row(square, nabla, Box("slash"), Box("number", "2"))))
        return row(smoothing, fence(build(args[0])))
    head = Box("upright", name) if name in UPRIGHT else name_box(name)
    if index:
        head = Box("sup", "", (head, fence(_commas([build(i) for i in index]))))
    return row(head, fence(_commas([flat(build(a)) for a in args])))


def _evaluation(term: Term) -> Box:
    """A formula at values of its variables: all of them after one bar."""
    values: list[Box] = []
    while term.head == "app" and parts(term)[0] == "At":
        _, _, (term, variable, value) = parts(term)
        values.append(row(build(variable), sign("="), build(value)))
    body = build(term)
    inner = body if body.kind == "fence" else fence(body)
    return row(inner, Box("sub", "", (sign("|"), _commas(values[::-1]))))


def _integral(name: str, args: Sequence[Term]) -> Box:
    if name == "Sum":
        return row(Box("sub", "", (sign(r"\sum", "∑"), build(args[1]))), SPACE, build(args[0], 1))
    line = len(args) < 3 or args[2].data == 1
    space = REALS if line else Box("sup", "", (REALS, build(args[2])))
    nested = args[0].head == "app" and parts(args[0])[0] == "Int"
    body = build(args[0], 0 if nested else 1)
    return row(
        Box("sub", "", (sign(r"\int", "∫"), space)),
        SPACE,
        body,
        SPACE,
        Box("upright", "d"),
        build(args[1]),
    )


def relation_box(relation: Relation) -> Box:
    """Left = right; a truth value that is 1 stands alone."""
    if relation.left.head == "app" and parts(relation.left)[0] in LOGIC and relation.right == number(1):
        return build(relation.left)
    return row(build(relation.left), sign(*SIGNS[relation.op]), build(relation.right))


def relation_latex(relation: Relation) -> str:
    """A relation as LaTeX."""
    return latex(relation_box(relation))


def relation_mathml(relation: Relation) -> str:
    """A relation as a `math` element on lines of its own."""
    return f"<math display='block'>{mathml(relation_box(relation))}</math>"
