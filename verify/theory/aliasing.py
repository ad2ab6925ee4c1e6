"""Aliasing of sampled Gaussian derivatives: a geometric series of aliases, bounded in closed form."""

from .discrete import SCALE
from .model import Given, Statement, Theorem, algebra, consequence, increasing, induction, use

_ALIAS = "(2*k + 3)**n*v**n*exp(-((2*k + 3)*v)**2/2)"
_RATIO = "3**n*exp(-4*v**2)"

THEOREMS = (
    Theorem(
        "three-powers",
        "discrete",
        "3^k >= 2 k + 1",
        "For every k: the growth that makes the aliases a geometric series.",
        Statement({"k": "natural"}, ("3**k >= 2*k + 1",)),
        (induction("k", algebra(), algebra(use("IH", "3"))),),
        SCALE,
        ("induction",),
    ),
    Theorem(
        "alias-term",
        "discrete",
        "Each alias of a sampled Gaussian derivative against the nearest",
        "With v = pi sigma, the alias at the odd multiple (2 k + 3) v of the highest frequency is at most"
        " (3^n exp(-4 v^2))^(k+1) times the nearest one, v^n exp(-v^2/2).",
        Statement(
            {"v": "positive", "n": "natural", "k": "natural"},
            (f"v**n*exp(-v**2/2)*({_RATIO})**(k + 1) >= {_ALIAS}",),
        ),
        (
            consequence(
                use("power-monotone", "v**n*exp(-v**2/2 - 4*v**2*(k + 1))", a="3**(k + 1)", b="2*k + 3", p="n"),
                use("exponential-tangent/1", _ALIAS, y="2*k*(k + 1)*v**2"),
                needs=(algebra(use("three-powers/1", k="k + 1")),),
            ),
        ),
        SCALE,
        ("power-monotone",),
        ("exponential-tangent", "three-powers"),
    ),
    Theorem(
        "aliasing",
        "discrete",
        "Aliasing of sampled Gaussian derivatives",
        "By Poisson summation the symbol of a sampled kernel is the sum of the continuous symbol over w + 2 pi k; from"
        " each side the aliases at |w| <= pi, n <= v^2, are at most those at the odd multiples of v = pi sigma. A_k"
        " adds up k of these beyond the nearest, G_k the powers of q = 3^n exp(-4 v^2): v^n exp(-v^2/2) q G_k >= A_k and"
        " (1 - q) G_k = 1 - q^k, so both sides together are at most 2 v^n exp(-v^2/2)/(1 - q) for q < 1.",
        Statement(
            {"A": "function", "G": "function", "v": "positive", "n": "natural", "k": "natural"},
            (f"v**n*exp(-v**2/2)*{_RATIO}*G(k) >= A(k)", f"(1 - {_RATIO})*G(k) == 1 - ({_RATIO})**k"),
            {},
            {
                "no alias": Given("A(0) == 0"),
                "one alias more": Given(f"A(k + 1) == A(k) + {_ALIAS}", ("k",)),
                "no power": Given("G(0) == 0"),
                "one power more": Given(f"G(k + 1) == G(k) + ({_RATIO})**k", ("k",)),
            },
        ),
        (
            induction(
                "k",
                algebra(use("given:no alias", "-1"), use("given:no power", f"v**n*exp(-v**2/2)*{_RATIO}")),
                algebra(
                    use("IH"),
                    use("given:one alias more", "-1"),
                    use("given:one power more", f"v**n*exp(-v**2/2)*{_RATIO}"),
                    use("alias-term/1"),
                ),
            ),
            induction(
                "k",
                algebra(use("given:no power", f"1 - {_RATIO}")),
                algebra(use("given:one power more", f"1 - {_RATIO}"), use("IH")),
            ),
        ),
        SCALE,
        ("induction", "poisson-summation"),
        ("alias-term",),
    ),
    Theorem(
        "alias-decay",
        "discrete",
        "Aliases fall with their distance",
        "u^n exp(-u^2/2) at u = v + t is at most its value at v, for n = 0 and for v^2 >= n: of all aliases at a frequency"
        " up to pi, those at pi are the largest. Here n + 1 for n.",
        Statement(
            {"v": "positive", "t": "nonnegative", "n": "natural"},
            (
                "exp(-v**2/2) >= exp(-(v + t)**2/2)",
                "v**(n + 1)*exp(-v**2/2) >= (v + t)**(n + 1)*exp(-(v + t)**2/2)",
            ),
            {},
            {"far enough": Given("v**2 >= n + 1")},
        ),
        (
            increasing("t", algebra(), algebra()),
            increasing("t", algebra(), algebra(use("given:far enough", "(v + t)**n*exp(-(v + t)**2/2)"))),
        ),
        SCALE,
        ("mean-value",),
    ),
)
