"""Formulas as LaTeX and as MathML, from the formula language. Plain Python: the checker uses it too.

One small document tree (`Box`) is built from a formula and printed in either notation, so the two never differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape

from .terms import MINUS_ONE, Relation, Term, parts

LETTERS = dict(
    zip(
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "pi",
            "rho",
            "sigma",
            "tau",
            "phi",
            "chi",
            "psi",
            "omega",
        ],
        "αβγδεζηθκλμνξπρστφχψω",
        strict=True,
    )
)
GREEK = frozenset(LETTERS)
UPRIGHT = frozenset({"exp", "log", "sin", "cos", "max", "relu"})
SIGNS = {"==": ("=", "="), ">=": (r"\ge", "≥"), "<=": (r"\le", "≤"), ">": (">", ">")}


@dataclass(frozen=True, slots=True)
class Box:
    """A piece of mathematics: kind row, name, number, sign, frac, sup, sub, root, fence or words."""

    kind: str
    text: str = ""
    inner: "tuple[Box, ...]" = ()


def row(*boxes: Box) -> Box:
    """Boxes side by side."""
    return Box("row", "", boxes)


def sign(latex: str, unicode: str = "") -> Box:
    """An operator sign, with its LaTeX and its character."""
    return Box("sign", latex, (Box("char", unicode or latex),))


def fence(inner: Box) -> Box:
    """Parentheses."""
    return Box("fence", "", (inner,))


def name_box(name: str) -> Box:
    """A variable: `sigma_0` is sigma with subscript 0, `Lxx` as it stands."""
    head, _, tail = name.partition("_")
    while head and head[-1].isdigit() and len(head) > 1 and not tail:
        head, tail = head[:-1], head[-1]
    if tail:
        return Box(
            "sub",
            "",
            (Box("name", head), name_box(tail) if not tail.isdigit() else Box("number", tail)),
        )
    return Box("name", name)


def build(term: Term, level: int = 0) -> Box:
    """The formula as a box; level 0 sum, 1 product, 2 base of a power."""
    if term.head == "num":
        assert isinstance(term.data, Fraction)
        value = term.data
        box: Box = Box("number", str(abs(value.numerator)))
        if value.denominator != 1:
            box = Box("frac", "", (box, Box("number", str(value.denominator))))
        box = row(sign("-", "−"), box) if value < 0 else box
        return fence(box) if (value < 0 and level) or (level >= 2 and value.denominator != 1) else box
    if term.head == "sym":
        return name_box(str(term.data))
    if term.head == "add":
        boxes: list[Box] = []
        for i, a in enumerate(term.args):
            negative, rest = _split_sign(a)
            if i or negative:
                boxes.append(sign("-", "−") if negative else sign("+"))
            boxes.append(build(rest, 1 if negative and rest.head == "add" else 0))
        box = row(*boxes)
        return fence(box) if level else box
    if term.head == "mul":
        return _product(term, level)
    if term.head == "pow":
        return _power(term, level)
    if term.head == "lam":
        assert isinstance(term.data, tuple)
        names = _commas([name_box(n) for n in term.data])
        return row(names, sign(r"\mapsto", "↦"), build(term.args[0]))
    return _application(term, level)


def _split_sign(term: Term) -> tuple[bool, Term]:
    if term.head == "mul":
        first = term.args[0]
        if first == MINUS_ONE:
            rest = term.args[1:]
            return True, rest[0] if len(rest) == 1 else Term("mul", None, rest)
        if isinstance(first.data, Fraction) and first.data < 0:
            return True, Term("mul", None, (Term("num", -first.data), *term.args[1:]))
    if isinstance(term.data, Fraction) and term.data < 0:
        return True, Term("num", -term.data)
    return False, term


def _inverse(term: Term) -> Term | None:
    """The base to a positive power if the term is a negative power, else None."""
    if term.head == "pow":
        base, exponent = term.args
        if isinstance(exponent.data, Fraction) and exponent.data < 0:
            return base if exponent.data == -1 else Term("pow", None, (base, Term("num", -exponent.data)))
    return None


def _flatten(term: Term) -> list[Term]:
    if term.head == "mul":
        return [f for a in term.args for f in _flatten(a)]
    return [term]


def _product(term: Term, level: int) -> Box:
    negative, term = _split_sign(term)
    above: list[Term] = []
    below: list[Term] = []
    for factor in _flatten(term):
        inverse = _inverse(factor)
        if inverse is None:
            above.append(factor)
        else:
            below.append(inverse)
    box = _factors(above)
    if below:
        box = Box("frac", "", (_factors(above, bool(len(above) > 1)), _factors(below, len(below) > 1)))
    box = row(sign("-", "−"), box) if negative else box
    return fence(box) if level >= 2 or (negative and level) else box


def _factors(factors: Sequence[Term], inside: bool = True) -> Box:
    if not factors:
        return Box("number", "1")
    if len(factors) == 1:
        return build(factors[0], 1 if inside else 0)
    boxes: list[Box] = []
    for i, factor in enumerate(factors):
        digits = factor.head == "num" or (factor.head == "pow" and factor.args[0].head == "num")
        if i:
            boxes.append(sign(r"\cdot", "·") if digits else sign(r"\,", "\u2009"))
        boxes.append(build(factor, 1))
    return row(*boxes)


def _power(term: Term, level: int) -> Box:
    base, exponent = term.args
    inverse = _inverse(term)
    if inverse is not None:
        box = Box("frac", "", (Box("number", "1"), build(inverse)))
        return fence(box) if level >= 2 else box
    if exponent.data == Fraction(1, 2):
        return Box("root", "", (build(base),))
    box = Box("sup", "", (build(base, 2), build(exponent)))
    return fence(box) if level >= 2 else box


def _commas(boxes: Sequence[Box]) -> Box:
    pieces: list[Box] = []
    for i, box in enumerate(boxes):
        pieces += [sign(","), box] if i else [box]
    return row(*pieces)


def _partial(variable: Box, count: int) -> Box:
    symbol_ = Box("sub", "", (sign(r"\partial", "∂"), variable))
    return Box("sup", "", (symbol_, Box("number", str(count)))) if count > 1 else symbol_


def _application(term: Term, level: int) -> Box:
    name, index, args = parts(term)
    if name == "exp":
        box = Box("sup", "", (Box("name", "e"), build(args[0])))
        return fence(box) if level >= 2 else box
    if name == "fact":
        return row(build(args[0], 2), sign("!"))
    if name == "D" and args:
        counts: dict[Term, int] = {}
        for a in args[1:]:
            counts[a] = counts.get(a, 0) + 1
        box = row(*(_partial(build(v), c) for v, c in counts.items()), build(args[0], 2))
        return fence(box) if level >= 2 else box
    if name == "At" and len(args) == 3:
        at = row(build(args[1]), sign("="), build(args[2]))
        return Box("sub", "", (row(fence(build(args[0])), sign("|")), at))
    if name == "Int" and len(args) == 3:
        space = Box("sup", "", (Box("space"), build(args[2])))
        box = row(
            Box("sub", "", (sign(r"\int", "∫"), space)),
            build(args[0], 1),
            sign(r"\,d", "d"),
            build(args[1]),
        )
        return fence(box) if level else box
    if name == "Sum" and args:
        box = row(Box("sub", "", (sign(r"\sum", "∑"), build(args[1]))), build(args[0], 1))
        return fence(box) if level else box
    if name in ("Sup", "Max") and len(args) >= 2:
        box = row(Box("sub", "", (Box("upright", name.lower()), build(args[1]))), build(args[0], 1))
        return fence(box) if level else box
    if name == "Heat" and len(args) >= 3:
        half = Box(
            "frac",
            "",
            (Box("sup", "", (build(args[1], 2), Box("number", "2"))), Box("number", "2")),
        )
        nabla = Box("sup", "", (sign(r"\nabla", "∇"), Box("number", "2")))
        box = row(Box("sup", "", (Box("name", "e"), row(half, nabla))), fence(build(args[0])))
        return fence(box) if level >= 2 else box
    head = Box("upright", name) if name in UPRIGHT else name_box(name)
    if index:
        head = Box("sup", "", (head, fence(_commas([build(i) for i in index]))))
    return row(head, fence(_commas([build(a) for a in args])))


def relation_box(relation: Relation) -> Box:
    """Left = right."""
    return row(build(relation.left), sign(*SIGNS[relation.op]), build(relation.right))


def latex(box: Box) -> str:
    """The box as LaTeX, without dollar signs."""
    inner = [latex(b) for b in box.inner] if box.kind != "sign" else []
    match box.kind:
        case "row":
            return " ".join(inner)
        case "name":
            if box.text in GREEK:
                return f"\\{box.text}"
            return box.text if len(box.text) == 1 else f"\\mathrm{{{box.text}}}"
        case "number" | "sign":
            return box.text
        case "upright":
            return f"\\{box.text}" if box.text != "relu" else r"\operatorname{relu}"
        case "frac":
            return f"\\frac{{{inner[0]}}}{{{inner[1]}}}"
        case "sup":
            return f"{{{inner[0]}}}^{{{inner[1]}}}"
        case "sub":
            return f"{inner[0]}_{{{inner[1]}}}"
        case "root":
            return f"\\sqrt{{{inner[0]}}}"
        case "fence":
            return f"\\left({inner[0]}\\right)"
        case "space":
            return r"\mathbb{R}"
    raise ValueError(f"latex: unknown box {box.kind}")


def mathml(box: Box) -> str:
    """The box as presentation MathML, without the surrounding `math` element."""
    inner = [mathml(b) for b in box.inner] if box.kind != "sign" else []
    match box.kind:
        case "row":
            return f"<mrow>{''.join(inner)}</mrow>"
        case "name":
            text = LETTERS.get(box.text, box.text)
            variant = ' mathvariant="normal"' if len(text) > 1 else ""
            return f"<mi{variant}>{escape(text)}</mi>"
        case "upright":
            return f"<mi>{escape(box.text)}</mi>"
        case "number":
            return f"<mn>{escape(box.text)}</mn>"
        case "sign":
            character = box.inner[0].text
            if character == "\u2009":
                return '<mspace width="0.17em"/>'
            return f"<mo>{escape(character)}</mo>"
        case "frac" | "sup" | "sub" | "root":
            tag = {"frac": "mfrac", "sup": "msup", "sub": "msub", "root": "msqrt"}[box.kind]
            return f"<{tag}>{''.join(inner)}</{tag}>"
        case "fence":
            return f"<mrow><mo>(</mo>{inner[0]}<mo>)</mo></mrow>"
        case "space":
            return "<mi>ℝ</mi>"
    raise ValueError(f"mathml: unknown box {box.kind}")


def relation_latex(relation: Relation) -> str:
    """A relation as LaTeX."""
    return latex(relation_box(relation))


def relation_mathml(relation: Relation, *, block: bool = True) -> str:
    """A relation as a `math` element."""
    display = "block" if block else "inline"
    return f'<math display="{display}">{mathml(relation_box(relation))}</math>'
