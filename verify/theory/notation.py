"""A small document tree for mathematics, printed as LaTeX, as MathML or as one line of text."""

from dataclasses import dataclass
from html import escape

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
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
THIN = "\u2009"


@dataclass(frozen=True, slots=True)
class Box:
    """A piece of mathematics: `kind` says how `text` and `inner` are set."""

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


def flat(box: Box) -> Box:
    """The same on one line: fractions with a slash, as they stand in arguments and exponents."""
    box = Box(box.kind, box.text, box.inner if box.kind == "sign" else tuple(map(flat, box.inner)))
    if box.kind != "frac":
        return box
    above, below = box.inner
    return row(fence(above) if _is_sum(above) else above, Box("slash"), fence(below) if _is_long(below) else below)


def _is_sum(box: Box) -> bool:
    return box.kind == "row" and any((b.kind == "sign" and b.text in "+-") or _is_sum(b) for b in box.inner)


def _is_long(box: Box) -> bool:
    return box.kind == "row" and (len(box.inner) > 1 or _is_long(box.inner[0]))


SPACE = sign(r"\,", THIN)
REALS = Box("reals")


def latex(box: Box) -> str:
    """The box as LaTeX, without dollar signs."""
    inner = [latex(b) for b in box.inner] if box.kind != "sign" else []
    match box.kind:
        case "row":
            return " ".join(inner)
        case "name":
            if box.text in LETTERS:
                return f"\\{box.text}"
            return box.text if len(box.text) == 1 else f"\\mathrm{{{box.text}}}"
        case "number" | "sign":
            return box.text
        case "upright":
            return f"\\{box.text}" if box.text in ("exp", "log", "sin", "cos", "max") else rf"\mathrm{{{box.text}}}"
        case "frac":
            return f"\\frac{{{inner[0]}}}{{{inner[1]}}}"
        case "sup":
            return f"{{{inner[0]}}}^{{{inner[1]}}}"
        case "sub":
            return f"{inner[0]}_{{{inner[1]}}}"
        case "subsup":
            return f"{inner[0]}_{{{inner[1]}}}^{{{inner[2]}}}"
        case "root":
            return f"\\sqrt{{{inner[0]}}}"
        case "prime":
            return f"{inner[0]}'"
        case "fence":
            return f"\\left({inner[0]}\\right)"
        case "minus":
            return "-"
        case "slash":
            return "/"
        case "reals":
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
            return f'<mi mathvariant="normal">{escape(box.text)}</mi>'
        case "number":
            return f"<mn>{escape(box.text)}</mn>"
        case "sign":
            character = box.inner[0].text
            if character == THIN:
                return '<mspace width="0.17em"/>'
            stretchy = ' stretchy="false"' if character == "|" else ""
            return f"<mo{stretchy}>{escape(character)}</mo>"
        case "frac" | "sup" | "sub" | "subsup" | "root":
            tag = {"frac": "mfrac", "sup": "msup", "sub": "msub", "subsup": "msubsup", "root": "msqrt"}[box.kind]
            return f"<{tag}>{''.join(inner)}</{tag}>"
        case "prime":
            return f"<msup>{inner[0]}<mo>′</mo></msup>"
        case "fence":
            return f"<mrow><mo>(</mo>{inner[0]}<mo>)</mo></mrow>"
        case "minus":
            return '<mo form="prefix">−</mo>'
        case "slash":
            return '<mo lspace="0" rspace="0">/</mo>'
        case "reals":
            return "<mi>ℝ</mi>"
    raise ValueError(f"mathml: unknown box {box.kind}")


def plain(box: Box) -> str:
    """The box on one line of text."""
    inner = [plain(b) for b in box.inner] if box.kind != "sign" else []
    match box.kind:
        case "row":
            return "".join(inner)
        case "name":
            return LETTERS.get(box.text, box.text)
        case "number" | "upright":
            return box.text
        case "sign":
            character = box.inner[0].text
            if character in "=≥≤>+−↦⇔∧∨":
                return f" {character} "
            return {",": ", ", THIN: " "}.get(character, character)
        case "frac":
            return f"{_tight(box.inner[0])}/{_tight(box.inner[1])}"
        case "sup":
            if inner[1].isdecimal():
                return inner[0] + inner[1].translate(SUPERSCRIPTS)
            return f"{inner[0]}^{_tight(box.inner[1])}"
        case "sub":
            return f"{inner[0]}_{_tight(box.inner[1])}"
        case "subsup":
            return f"{inner[0]}_{_tight(box.inner[1])}{inner[2].translate(SUPERSCRIPTS)}"
        case "root":
            return f"√{_tight(box.inner[0])}"
        case "prime":
            return f"{inner[0]}′"
        case "fence":
            return f"({inner[0]})"
        case "minus":
            return "−"
        case "slash":
            return "/"
        case "reals":
            return "ℝ"
    raise ValueError(f"plain: unknown box {box.kind}")


def _tight(box: Box) -> str:
    """In parentheses unless it is one piece."""
    text = plain(box)
    while box.kind == "row" and len(box.inner) == 1:
        box = box.inner[0]
    return f"({text})" if box.kind in ("row", "frac") else text
