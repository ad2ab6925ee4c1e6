"""Finite scale channels and learned scales."""

from .model import Given, Statement, Step, Theorem, algebra, consequence, use

_ORDER = Step("order-types", names=("A", "E", "L"))
_REAL3 = {"A": "real", "E": "real", "L": "real"}
BASTING = "Basting et al., Scale learning in scale-equivariant convolutional networks (2024)"
LINDEBERG = "Lindeberg, Scale-covariant and scale-invariant Gaussian derivative networks (2022)"

CHANNELS = (
    Theorem(
        "channel-shift",
        "channels",
        "What enters and leaves a finite scale grid",
        "Channels s0 r^i, i = 0..n-1, scale factor S = r^j: channel i of the scaled image is channel i - j of the"
        " original, so -j..-1 enter and n-j..n-1 leave.",
        Statement(
            {
                "r": "positive",
                "s": "positive",
                "i": "integer",
                "j": "integer",
                "x": "vector",
                "F": "function",
                "Fp": "function",
            },
            ("Fp(r**j*x, r**i*s) == F(x, r**(i - j)*s)",),
            {},
            {"F is a field": Given("Fp(r**j*x, r**j*s) == F(x, s)", ("x", "s"))},
        ),
        (algebra(use("given:F is a field", s="r**(i - j)*s")),),
        f"{LINDEBERG}, eqs. (20) to (23)",
    ),
    Theorem(
        "channel-max",
        "channels",
        "Max over a finite grid: exactly when it is invariant",
        "A the largest shared value, E the largest entering, L the largest leaving: max(A, E) = max(A, L) if and only"
        " if (E <= A and L <= A) or E = L; and the difference is at most max(E - A, L - A, 0).",
        Statement(
            _REAL3,
            (
                "iff(same(max(A, E), max(A, L)), either(both(le(E, A), le(L, A)), same(E, L))) == 1",
                "max(E - A, L - A, 0) >= max(max(A, E) - max(A, L), max(A, L) - max(A, E))",
            ),
        ),
        (_ORDER, _ORDER),
        f"{LINDEBERG}, section 4.4",
    ),
    Theorem(
        "channel-mean",
        "channels",
        "Mean over a finite grid",
        "The means differ by (sum entering - sum leaving)/n; a is the sum of the shared channels.",
        Statement(
            {"a": "real", "e": "real", "l": "real", "n": "positive"},
            ("(a + e)/n - (a + l)/n == (e - l)/n",),
        ),
        (algebra(),),
        f"{LINDEBERG}, section 4.4",
    ),
    Theorem(
        "channel-logsumexp",
        "channels",
        "Logsumexp over a finite grid",
        "The values differ by log((a + e)/(a + l)), sums of exponentials over shared, entering, leaving channels: by at"
        " most log(1 + e/a) up and log(1 + l/a) down.",
        Statement(
            {"a": "positive", "e": "positive", "l": "positive"},
            (
                "log(a + e) - log(a + l) == log((a + e)/(a + l))",
                "log((a + e)/a) >= log(a + e) - log(a + l)",
                "log((a + l)/a) >= log(a + l) - log(a + e)",
            ),
        ),
        (
            algebra(),
            consequence(use("log-monotone", a="a + l", b="a"), needs=(algebra(),)),
            consequence(use("log-monotone", a="a + e", b="a"), needs=(algebra(),)),
        ),
        f"{LINDEBERG}, section 4.4",
        ("log-monotone",),
    ),
)
LEARNED = (
    Theorem(
        "log-sigma-invariant",
        "learned",
        "The invariant parametrisation",
        "For a field of weight 0, d/d(log s) has weight 0 and d/ds weight -1: gradients with respect to log sigma do"
        " not depend on the scale of the image.",
        Statement(
            {"F": "function", "Fp": "function", "x": "vector", "s": "positive", "S": "positive"},
            (
                "S*s*Fp[0, 1](S*x, S*s) == s*F[0, 1](x, s)",
                "Fp[0, 1](S*x, S*s) == S**(-1)*F[0, 1](x, s)",
            ),
            {},
            {"F is a field": Given("Fp(S*x, S*s) == F(x, s)", ("x", "s"))},
        ),
        (
            algebra(use("given:F is a field", "s", "s")),
            algebra(use("given:F is a field", "S**(-1)", "s")),
        ),
        f"{BASTING}, section 3",
    ),
    Theorem(
        "log-linear-family",
        "learned",
        "exp is the invariant parametrisation",
        "sigma = exp(c t + d) satisfies d sigma/dt = c sigma; a ratio of two such scales with equal c is constant.",
        Statement(
            {"c": "real", "d": "real", "t": "real", "k": "real"},
            ("D(exp(c*t + d), t) == c*exp(c*t + d)", "D(exp(c*t + d)/exp(c*t + k), t) == 0"),
        ),
        (algebra(), algebra()),
        f"{BASTING}, section 3",
    ),
    Theorem(
        "isr-gradient",
        "learned",
        "The internal scale range 1 + g^2",
        "s_i = b (1 + g^2)^(i/k), k = n - 1 for n scales: d log s_i/dg = (i/k) 2g/(1 + g^2), zero at g = 0: ISR = 1 is"
        " a stationary point, so learning must not start there; of degree 1 in b; of size at most 1 for i <= k, as"
        " |2g| <= 1 + g^2.",
        Statement(
            {
                "b": "positive",
                "g": "real",
                "i": "natural",
                "k": "positive",
                "c": "positive",
            },
            (
                "D(s(g, b), g)/s(g, b) == i/k*2*g/(1 + g**2)",
                "At(D(s(g, b), g), g, 0) == 0",
                "s(g, c*b) == c*s(g, b)",
                "1 + g**2 >= 2*g",
                "1 + g**2 >= -2*g",
            ),
            {"s(g, b)": "b*(1 + g**2)**(i/k)"},
        ),
        (
            *(algebra(), algebra(), algebra()),
            *(algebra(use("square-nonnegative", y=y)) for y in ("1 - g", "1 + g")),
        ),
        f"{BASTING}, eqs. (5), (6)",
        ("square-nonnegative",),
    ),
)
