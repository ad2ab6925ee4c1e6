"""The operators P_n as matrices on finitely many pixels: what each border keeps, and what follows exactly.

P_n f = restrict (K_n * extend f): f is extended to all integers by the border rule, convolved with the taps K_n of
the n-th derivative, and cut back to the pixels 0..n-1. A product of two such matrices is one of them exactly if the
extension of what the first one leaves is what it had before it was cut: that is proved here border by border.
"""

from .discrete import SCALE
from .model import Given, Statement, Step, Theorem, algebra, consequence, induction, use

_PIXELS = {"f": "function", "T": "function", "i": "integer", "j": "integer", "n": "natural"}
_CONVOLVED = {"c(i)": "Sum(T(j)*f(i - j), j)"}
_LEFT = Given("f(-1 - i) == f(i)", ("i",))
_RIGHT = Given("f(2*n - 1 - i) == f(i)", ("i",))


def _mirrored(end: str, fact: str, sign: str) -> Step:
    """The sum at the mirrored place, reflected, equals the sum at i term by term."""
    return consequence(
        use("sum-reflect", h=f"lambda j: T(j)*f({end} - i - j)"),
        use("sum-equal", h=f"lambda j: T(-j)*f({end} - i + j)", q=f"lambda j: {sign}T(j)*f(i - j)"),
        needs=(
            algebra(
                use("given:parity of the kernel", f"f({end} - i + point)", j="point"),
                use(f"given:{fact}", f"{sign}T(point)", i="i - point"),
            ),
        ),
    )


def _border(
    name: str,
    title: str,
    words: str,
    statement: Statement,
    proof: tuple[Step, ...],
    axioms: tuple[str, ...] = (),
    lemmas: tuple[str, ...] = (),
) -> Theorem:
    return Theorem(f"border-{name}", "discrete", title, words, statement, proof, SCALE, axioms, lemmas)


THEOREMS = (
    _border(
        "symmetric",
        "Symmetric border: even kernels keep the extension",
        "A signal mirrored at -1/2 and at n - 1/2, convolved with an even kernel, is mirrored there again: cutting it"
        " back to the pixels and extending it changes nothing.",
        Statement(
            _PIXELS,
            ("c(-1 - i) == c(i)", "c(2*n - 1 - i) == c(i)"),
            _CONVOLVED,
            {
                "mirrored at the left": _LEFT,
                "mirrored at the right": _RIGHT,
                "parity of the kernel": Given("T(-j) == T(j)", ("j",)),
            },
        ),
        (_mirrored("-1", "mirrored at the left", ""), _mirrored("2*n - 1", "mirrored at the right", "")),
        ("sum-reflect", "sum-equal"),
    ),
    _border(
        "odd",
        "Symmetric border: odd kernels turn the extension round",
        "Convolved with an odd kernel the mirrored signal changes its sign under mirroring, so the extension by the"
        " border rule is not what the convolution had there: the corner of the second difference is -3, not -1.",
        Statement(
            {**_PIXELS, "d": "function"},
            ("c(-1 - i) == -c(i)", "c(2*n - 1 - i) == -c(i)", "d(1) - 2*d(0) + d(-1) == d(1) - 3*d(0)"),
            _CONVOLVED,
            {
                "mirrored at the left": _LEFT,
                "mirrored at the right": _RIGHT,
                "parity of the kernel": Given("T(-j) == -T(j)", ("j",)),
                "odd extension": Given("d(-1 - i) == -d(i)", ("i",)),
            },
        ),
        (
            _mirrored("-1", "mirrored at the left", "-"),
            _mirrored("2*n - 1", "mirrored at the right", "-"),
            algebra(use("given:odd extension", i="0")),
        ),
        ("sum-reflect", "sum-equal"),
    ),
    _border(
        "circular",
        "Circular border: every kernel keeps the extension",
        "A periodic signal convolved with any kernel is periodic.",
        Statement(_PIXELS, ("c(i + n) == c(i)",), _CONVOLVED, {"periodic": Given("f(i + n) == f(i)", ("i",))}),
        (
            consequence(
                use("sum-equal", h="lambda j: T(j)*f(i + n - j)", q="lambda j: T(j)*f(i - j)"),
                needs=(algebra(use("given:periodic", "T(point)", i="i - point")),),
            ),
        ),
        ("sum-equal",),
    ),
    _border(
        "composition",
        "Products of operators: the convolved kernel",
        "Where the extension e of what B leaves agrees with B * f as far as the taps of A reach, A after B is the"
        " operator of the kernel A * B. Circular border: always. Symmetric: for even B, so P_0(a) P_0(b) = P_0(a + b),"
        " P_n = D_n P_0 and dP_n/dv = 1/2 P_n D_2 for every n, dP_n/dv = 1/2 D_2 P_n for even n. Zero border: if B * f"
        " is kept on r more pixels at each end, r the reach of A.",
        Statement(
            {**dict.fromkeys("ABCef", "function"), "i": "integer", "j": "integer", "m": "integer"},
            ("Sum(A(j)*e(i - j), j) == Sum(C(m)*f(i - m), m)",),
            {},
            {
                "extension as far as A reaches": Given(
                    "A(j)*e(i - j) == A(j)*Sum(B(k)*f(i - j - k), k)",
                    ("i", "j"),
                ),
                "convolved kernel": Given("C(m) == Sum(A(j)*B(m - j), j)", ("m",)),
            },
        ),
        (
            consequence(
                use("sum-equal", h="lambda j: A(j)*e(i - j)", q="lambda j: A(j)*Sum(B(k - j)*f(i - k), k)"),
                use("sum-exchange", h="lambda j, k: A(j)*B(k - j)*f(i - k)"),
                use("sum-equal", h="lambda k: Sum(A(j)*B(k - j), j)*f(i - k)", q="lambda k: C(k)*f(i - k)"),
                needs=(
                    algebra(
                        use("given:extension as far as A reaches", j="point"),
                        use("sum-shift", "A(point)", h="lambda k: B(k)*f(i - point - k)", c="-point"),
                    ),
                    algebra(use("given:convolved kernel", "-f(i - point)", m="point")),
                ),
            ),
        ),
        ("sum-equal", "sum-exchange", "sum-shift"),
    ),
    _border(
        "commuting",
        "Kernels commute",
        "A * B = B * A: with the circular border all operators commute, with the symmetric border those of even"
        " kernels.",
        Statement(
            {"A": "function", "B": "function", "m": "integer"},
            ("Sum(A(j)*B(m - j), j) == Sum(B(j)*A(m - j), j)",),
        ),
        (
            algebra(
                use("sum-reflect", h="lambda j: A(j)*B(m - j)"),
                use("sum-shift", h="lambda j: A(-j)*B(m + j)", c="-m"),
            ),
        ),
        ("sum-reflect", "sum-shift"),
    ),
    _border(
        "mixing",
        "Smoothing commutes with channel mixing, for every border",
        "Any operator P on pixels and any matrix M on channels act on different indices.",
        Statement(
            {"P": "function", "M": "function", "f": "function", "o": "integer", "i": "integer"},
            ("Sum(M(o, c)*Sum(P(i, j)*f(c, j), j), c) == Sum(P(i, j)*Sum(M(o, c)*f(c, j), c), j)",),
        ),
        (algebra(use("sum-exchange", h="lambda c, j: M(o, c)*P(i, j)*f(c, j)")),),
        ("sum-exchange",),
    ),
    _border(
        "sine-zeros",
        "Sine at the multiples of pi",
        "sin(pi k) = 0.",
        Statement({"k": "natural"}, ("sin(pi*k) == 0",)),
        (
            induction(
                "k",
                algebra(),
                algebra(
                    use("sine-sum", a="pi*k", b="pi"),
                    use("sine-at-pi", "cos(pi*k)"),
                    use("cosine-at-pi", "sin(pi*k)"),
                    use("IH", "-1"),
                ),
            ),
        ),
        ("induction", "sine-sum", "sine-at-pi", "cosine-at-pi"),
    ),
    _border(
        "cosine-sum",
        "Sum of the cosines over the pixels",
        "C(n, t), the sum of cos(t (i + 1/2)) over i = 0..n-1, times 2 sin(t/2) is sin(n t).",
        Statement(
            {"n": "natural", "t": "real", "C": "function"},
            ("2*sin(t/2)*C(n, t) == sin(n*t)",),
            {},
            {
                "no pixel": Given("C(0, t) == 0", ("t",)),
                "one pixel more": Given("C(n + 1, t) == C(n, t) + cos(t*(n + 1/2))", ("n", "t")),
            },
        ),
        (
            induction(
                "n",
                algebra(use("given:no pixel", "2*sin(t/2)")),
                algebra(
                    use("given:one pixel more", "2*sin(t/2)"),
                    use("IH"),
                    use("sine-sum", "-1", a="n*t + t/2", b="t/2"),
                    use("sine-sum", a="n*t + t/2", b="-t/2"),
                ),
            ),
        ),
        ("induction", "sine-sum"),
    ),
    _border(
        "orthogonal",
        "The cosines are orthogonal: the spectral form is the matrix",
        "For w_k = pi k/n the products cos(w_k (i + 1/2)) cos(w_l (i + 1/2)) sum to (C(n, w_k - w_l) + C(n, w_k + w_l))/2,"
        " and 2 sin(w_m/2) C(n, w_m) = 0, so C(n, w_m) = 0 for 0 < m < 2 n: the n cosines are an orthogonal basis, and"
        " eigenvectors of P_n make all of it.",
        Statement(
            {"n": "positive", "m": "natural", "a": "real", "b": "real", "C": "function", "t": "real"},
            ("cos(a)*cos(b) == (cos(a - b) + cos(a + b))/2", "2*sin(pi*m/n/2)*C(n, pi*m/n) == 0"),
            {},
            {"sum of the cosines": Given("2*sin(t/2)*C(n, t) == sin(n*t)", ("t",))},
        ),
        (
            algebra(use("cosine-sum", "-1/2"), use("cosine-sum", "-1/2", b="-b")),
            algebra(use("given:sum of the cosines", t="pi*m/n"), use("border-sine-zeros/1", k="m")),
        ),
        ("cosine-sum",),
        ("border-sine-zeros",),
    ),
)
