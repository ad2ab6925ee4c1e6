"""Bounds on the discretisation error: per frequency and in space, for every order and scale, with closed constants.

v is the variance, w > 0 a frequency up to pi, a = v (1 - cos w) and b = v w^2/2 the exponents of the discrete and the
continuous symbol. L is the symbol of the n-th difference without its sign, between w^n (1 - alpha w^2) and w^n, with
alpha = (n mod 2)/6 + floor(n/2)/12.
"""

from .discrete import SCALE
from .model import Given, Statement, Step, Theorem, Use, algebra, consequence, convex, induction, use

_A, _B, _C = "v*(1 - cos(w))", "v*w**2/2", "2*v*w**2/pi**2"
_BELOW = "elementary-inequalities/2"  # cos x >= 1 - x^2/2
_ABOVE = "elementary-inequalities/4"  # 1 - x^2/2 + x^4/24 >= cos x
_TANGENT = "exponential-tangent/1"
_VW = {"v": "positive", "w": "positive"}


def _bound(
    name: str,
    title: str,
    words: str,
    statement: Statement,
    proof: tuple[Step, ...],
    axioms: tuple[str, ...] = (),
    lemmas: tuple[str, ...] = (),
) -> Theorem:
    return Theorem(name, "discrete", title, words, statement, proof, SCALE, axioms, lemmas)


def _gap_at_most(factor: str) -> tuple[Use, Use]:
    """Factor (v w^4/24 exp(-a) - exp(-a) + exp(-b)) >= 0."""
    return (
        use(_TANGENT, f"exp(-{_A})*{factor}", y=f"{_A} - {_B}"),
        use(_ABOVE, f"v*exp(-{_A})*{factor}", x="w"),
    )


def _gap_at_least(factor: str) -> tuple[Use, Use]:
    """Factor (exp(-a) - exp(-b)) >= 0."""
    return (
        use(_TANGENT, f"exp(-{_B})*{factor}", y=f"{_B} - {_A}"),
        use(_BELOW, f"v*exp(-{_B})*{factor}", x="w"),
    )


_CHORD = use("jordan", x="w/2")
_BELOW_PI = algebra(use("given:up to the highest frequency", "1/2"))
_ERROR = f"v*exp(-{_A}) - v*exp(-{_B})"
_SLOWEST = "(1 - cos(33/20))"
_LEVEL = f"w**n*v*w**4/24*exp(-{_A})"

THEOREMS = (
    _bound(
        "exponential-tangent",
        "The exponential lies above its tangent",
        "exp(y) >= 1 + y for every real y.",
        Statement({"y": "real"}, ("exp(y) >= 1 + y",)),
        (convex("y", algebra(), algebra(), algebra()),),
        ("mean-value",),
    ),
    _bound(
        "exponential-power",
        "The largest value of y^k exp(-y)",
        "(k/e)^k, from the tangent at y/k - 1, raised to the power k.",
        Statement({"y": "positive", "k": "positive"}, ("(k*exp(-1))**k >= y**k*exp(-y)",)),
        (
            consequence(
                use("power-monotone", "k**k*exp(-y)", a="exp(y/k - 1)", b="y/k", p="k"),
                needs=(algebra(use(_TANGENT, y="y/k - 1")),),
            ),
        ),
        ("power-monotone",),
        ("exponential-tangent",),
    ),
    _bound(
        "symbol-gap",
        "The discrete symbol against the continuous one",
        "0 <= exp(-a) - exp(-b) <= v w^4/24 exp(-a) <= v w^4/24: smoothing errs to one side, and by at most v/24 times"
        " the fourth derivative.",
        Statement(
            _VW,
            (
                f"exp(-{_A}) >= exp(-{_B})",
                f"v*w**4/24*exp(-{_A}) >= exp(-{_A}) - exp(-{_B})",
                f"v*w**4/24 >= exp(-{_A}) - exp(-{_B})",
            ),
        ),
        (
            algebra(*_gap_at_least("1")),
            algebra(*_gap_at_most("1")),
            algebra(
                *_gap_at_most("1"),
                use(_TANGENT, f"v*w**4/24*exp(-{_A})", y=_A),
                use("cosine-at-most-one", f"v*v*w**4/24*exp(-{_A})", x="w"),
            ),
        ),
        ("cosine-at-most-one",),
        ("exponential-tangent", "elementary-inequalities"),
    ),
    _bound(
        "jordan-cosine",
        "The discrete symbol decays as a Gaussian",
        "1 - cos w >= 2 w^2/pi^2 up to the highest frequency pi.",
        Statement(
            {"w": "positive"},
            ("1 - cos(w) >= 2*w**2/pi**2",),
            {},
            {"up to the highest frequency": Given("pi >= w")},
        ),
        (
            consequence(
                use("cosine-sum", "-1", a="w/2", b="w/2"),
                use("product-nonnegative", "2", a="sin(w/2) - w/pi", b="sin(w/2) + w/pi"),
                needs=(
                    consequence(_CHORD, needs=(algebra(), _BELOW_PI)),
                    consequence(_CHORD, needs=(algebra(), _BELOW_PI)),
                ),
            ),
        ),
        ("cosine-sum", "product-nonnegative", "jordan"),
    ),
    _bound(
        "difference-factors",
        "The symbols of the first and second difference",
        "w >= sin w >= w - w^3/6 and w^2 >= 2 - 2 cos w >= w^2 - w^4/12.",
        Statement(
            {"w": "positive"},
            (
                "w >= sin(w)",
                "sin(w) >= w - w**3/6",
                "w**2 >= 2 - 2*cos(w)",
                "2 - 2*cos(w) >= w**2 - w**4/12",
            ),
        ),
        (
            algebra(use("elementary-inequalities/1", x="w")),
            algebra(use("elementary-inequalities/3", x="w")),
            algebra(use(_BELOW, "2", x="w")),
            algebra(use(_ABOVE, "2", x="w")),
        ),
        (),
        ("elementary-inequalities",),
    ),
    _bound(
        "difference-powers",
        "The symbols of the even differences",
        "With c = 2 - 2 cos w: w^(2k) >= c^k >= w^(2k) (1 - k w^2/12), for every k.",
        Statement(
            {"c": "positive", "w": "positive", "k": "natural"},
            ("w**(2*k) >= c**k", "c**k >= w**(2*k)*(1 - k*w**2/12)"),
            {},
            {"above": Given("w**2 >= c"), "below": Given("c >= w**2 - w**4/12")},
        ),
        (
            induction("k", algebra(), algebra(use("IH", "w**2"), use("given:above", "c**k"))),
            induction(
                "k",
                algebra(),
                algebra(
                    use("IH", "c"),
                    use("given:below", "w**(2*k)"),
                    use("given:above", "w**(2*k)*k*w**2/12"),
                ),
            ),
        ),
        ("induction",),
    ),
    _bound(
        "difference-powers-odd",
        "The symbols of the odd differences",
        "With d = sin w and P = (2 - 2 cos w)^k: w^(2k+1) >= d P >= w^(2k+1) (1 - (1/6 + k/12) w^2).",
        Statement(
            {"P": "positive", "d": "nonnegative", "w": "positive", "k": "natural"},
            ("w**(2*k + 1) >= d*P", "d*P >= w**(2*k + 1)*(1 - (1/6 + k/12)*w**2)"),
            {},
            {
                "even above": Given("w**(2*k) >= P"),
                "even below": Given("P >= w**(2*k)*(1 - k*w**2/12)"),
                "above": Given("w >= d"),
                "below": Given("d >= w - w**3/6"),
            },
        ),
        (
            algebra(use("given:even above", "w"), use("given:above", "P")),
            algebra(
                use("given:even below", "d"),
                use("given:below", "w**(2*k)"),
                use("given:above", "w**(2*k)*k*w**2/12"),
            ),
        ),
    ),
    _bound(
        "closed-form-bound",
        "The error of the discrete jet per frequency, every order and scale",
        "-alpha w^(n+2) exp(-b) <= L exp(-a) - w^n exp(-b) <= v w^(n+4)/24 exp(-2 v w^2/pi^2): L by the theorems"
        " difference-powers and difference-powers-odd, the decay by jordan-cosine.",
        Statement(
            {**_VW, "n": "natural", "alpha": "nonnegative", "L": "nonnegative"},
            (
                f"w**n*v*w**4/24*exp(-{_C}) >= L*exp(-{_A}) - w**n*exp(-{_B})",
                f"alpha*w**2*w**n*exp(-{_B}) >= w**n*exp(-{_B}) - L*exp(-{_A})",
            ),
            {},
            {
                "at most the power": Given("w**n >= L"),
                "at least": Given("L >= w**n*(1 - alpha*w**2)"),
                "Jordan": Given("1 - cos(w) >= 2*w**2/pi**2"),
            },
        ),
        (
            algebra(
                use(_TANGENT, _LEVEL, y=f"{_A} - {_C}"),
                use("given:Jordan", f"v*{_LEVEL}"),
                *_gap_at_most("w**n"),
                use("given:at most the power", f"exp(-{_A})"),
            ),
            algebra(use("given:at least", f"exp(-{_B})"), *_gap_at_least("L")),
        ),
        (),
        ("exponential-tangent", "elementary-inequalities"),
    ),
    _bound(
        "closed-form-constants",
        "Constants for all frequencies",
        "v^(n/2) times the two bounds of theorem closed-form-bound is at most a constant over v, for every frequency,"
        " scale and order: 0.55 at n = 0. The constants are not the smallest.",
        Statement(
            {**_VW, "n": "natural", "alpha": "nonnegative"},
            (
                f"(pi**2/2)**((n + 4)/2)*((n + 4)/2*exp(-1))**((n + 4)/2)/24 >= v*v**(n/2)*w**n*v*w**4/24*exp(-{_C})",
                f"alpha*2**((n + 2)/2)*((n + 2)/2*exp(-1))**((n + 2)/2) >= v*v**(n/2)*alpha*w**2*w**n*exp(-{_B})",
            ),
        ),
        (
            algebra(use("exponential-power/1", "(pi**2/2)**((n + 4)/2)/24", y=_C, k="(n + 4)/2")),
            algebra(use("exponential-power/1", "alpha*2**((n + 2)/2)", y=_B, k="(n + 2)/2")),
        ),
        (),
        ("exponential-power",),
    ),
    _bound(
        "uniform-constant-numbers",
        "Three numbers of the uniform constant",
        "Enclosed in intervals: what the low and the high frequencies need.",
        Statement(
            {},
            (
                "61/400 >= (3200/1237)**2/6*exp(-2)",
                f"61/400 >= 27/10*exp(-27/10*{_SLOWEST})",
                f"27/10*{_SLOWEST} >= 1",
            ),
        ),
        (Step("branch-and-bound"), Step("branch-and-bound"), Step("branch-and-bound")),
    ),
    _bound(
        "uniform-constant-small",
        "The uniform constant of smoothing, small scales",
        "sigma^2 times the error of the symbol is at most 0.1525 for variances up to 2.7 at every frequency: intervals"
        " over a subdivision of the box.",
        Statement({"v": "in 0 27/10", "w": "in 0 22/7"}, (f"61/400 >= {_ERROR}",)),
        (Step("branch-and-bound", box={"v": ("0", "27/10"), "w": ("0", "22/7")}),),
    ),
    _bound(
        "uniform-constant-low",
        "The uniform constant of smoothing, low frequencies",
        "At most 0.1525 for w <= 1.65 at every scale: there 1 - cos w >= (1237/1600) w^2/2.",
        Statement(_VW, (f"61/400 >= {_ERROR}",), {}, {"low frequency": Given("33/20 >= w")}),
        (
            algebra(
                use("uniform-constant-numbers/1"),
                use("exponential-power/1", "(1600/1237)**2/6", y="v*w**2/2*1237/1600", k="2"),
                use(_TANGENT, f"v**2*w**4/24*exp(-{_A})", y=f"{_A} - v*w**2/2*1237/1600"),
                use(_ABOVE, f"v**3*w**4/24*exp(-{_A})", x="w"),
                use("given:low frequency", f"v**3*w**6/576*(33/20 + w)*exp(-{_A})"),
                *_gap_at_most("v"),
            ),
        ),
        (),
        ("exponential-tangent", "elementary-inequalities", "exponential-power", "uniform-constant-numbers"),
    ),
    _bound(
        "uniform-constant-high",
        "The uniform constant of smoothing, high frequencies at large scales",
        "At most 0.1525 for 1.65 <= w <= pi and variances from 2.7: v exp(-c v) falls there. With the small scales and"
        " the low frequencies this is every frequency at every scale.",
        Statement(
            _VW,
            (f"61/400 >= {_ERROR}",),
            {},
            {
                "large scale": Given("v >= 27/10"),
                "high frequency": Given("w >= 33/20"),
                "up to the highest frequency": Given("pi >= w"),
            },
        ),
        (
            consequence(
                use("uniform-constant-numbers/2"),
                use(_TANGENT, f"27/10*exp(-v*{_SLOWEST})", y=f"{_SLOWEST}*(v - 27/10)"),
                use("product-nonnegative", f"exp(-v*{_SLOWEST})", a="v - 27/10", b=f"27/10*{_SLOWEST} - 1"),
                use(_TANGENT, f"v*exp(-{_A})", y=f"{_A} - v*{_SLOWEST}"),
                use("cosine-monotone", f"v**2*exp(-{_A})", a="33/20", b="w"),
                needs=(
                    algebra(use("given:large scale")),
                    algebra(use("uniform-constant-numbers/3")),
                    algebra(use("given:high frequency")),
                    algebra(),
                    algebra(use("given:up to the highest frequency")),
                ),
            ),
        ),
        ("product-nonnegative", "cosine-monotone"),
        ("exponential-tangent", "uniform-constant-numbers"),
    ),
)
