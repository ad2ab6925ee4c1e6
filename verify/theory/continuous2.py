"""Continuous theory, second part: semigroup, the N-jet formula, scale covariance, steering, the sigma ladder."""

from .continuous import GAUSS_1, GAUSS_N, LINDEBERG, NJET
from .model import Given, Statement, Theorem, algebra, induction, use

_KERNEL = {
    "F": "function",
    "G": "function",
    "S": "positive",
    "s": "positive",
    "N": "natural",
    "m": "natural",
    "p": "real",
    "x": "vector",
}
_JET = "s**(p*m - m)*Int(F(u)*s**(-N)*G[m]((x - u)/s), u, N)"
_JET_SCALED = "(S*s)**(p*m - m)*Int(F(u/S)*(S*s)**(-N)*G[m]((S*x - u)/(S*s)), u, N)"
_TO_SCALED = use(
    "change-of-variables",
    "(S*s)**(p*m - m)",
    h="lambda u: F(u/S)*(S*s)**(-N)*G[m]((S*x - u)/(S*s))",
)
_TO_SCALED_1 = use("change-of-variables", h="lambda u: F(u/S)*(S*s)**(-N)*G[m]((S*x - u)/(S*s))")
_RADICAL = {"a": "s*2**(1/2)", "g1(x)": "(2*pi*s**2)**(-1/2)*exp(-x**2/(2*s**2))"}

_WEIGHT = "r**2*cos(t)*sin(t)"
_PRODUCT = "exp(-r**2*cos(t)**2*(x - u)**2)*exp(-r**2*sin(t)**2*u**2)"


def _transform(sigma: str) -> str:
    return f"Int(g1(x, {sigma})*cos(w*x), x, 1)"


THEOREMS = (
    Theorem(
        "unit-mass-ndim",
        "continuous",
        "Unit mass in N dimensions",
        "The N-dimensional Gaussian is the product of N one-dimensional ones, so by Fubini its integral M(N) gains the"
        " integral on the line with each axis, and is 1.",
        Statement(
            {"s": "positive", "r": "real", "x": "real", "N": "natural", "M": "function"},
            (
                "(2*pi*s**2)**(-(N + 1)/2)*exp(-(r**2 + x**2)/(2*s**2))"
                " == (2*pi*s**2)**(-N/2)*exp(-r**2/(2*s**2))*g1(x, s)",
                "M(N) == 1",
            ),
            GAUSS_1,
            {
                "no axis": Given("M(0) == 1"),
                "Fubini": Given("M(N + 1) == M(N)*Int(g1(u, s), u, 1)", ("N",)),
            },
        ),
        (
            algebra(),
            induction(
                "N",
                algebra(use("given:no axis")),
                algebra(use("given:Fubini"), use("IH"), use("unit-mass/1", "M(N)")),
            ),
        ),
        f"{LINDEBERG}, eq. (5)",
        ("fubini", "induction"),
        ("unit-mass",),
        {"ndim": "N"},
    ),
    Theorem(
        "semigroup",
        "continuous",
        "Semigroup",
        "Smoothing with a and then with b is smoothing with sqrt(a^2 + b^2), by completing the square: xx, xu, uu"
        " are dot products in any dimension, c = x a^2/(a^2 + b^2) the new centre; and as a product of Fourier"
        " transforms.",
        Statement(
            {
                **{"a": "positive", "b": "positive", "xx": "real", "xu": "real", "uu": "real"},
                **{"x": "real", "w": "real"},
            },
            (
                "(xx - 2*xu + uu)/(2*a**2) + uu/(2*b**2) == xx/(2*(a**2 + b**2)) + (a**2 + b**2)/(2*a**2*b**2)"
                "*(uu - 2*xu*b**2/(a**2 + b**2) + xx*b**4/(a**2 + b**2)**2)",
                f"{_transform('a')}*{_transform('b')} == {_transform('(a**2 + b**2)**(1/2)')}",
            ),
            GAUSS_1,
        ),
        (
            algebra(),
            algebra(
                use("fourier-transform/1", f"exp(-a**2*w**2/2)*{_transform('b')}", s="a"),
                use("fourier-transform/1", "exp(-a**2*w**2/2)*exp(-b**2*w**2/2)", s="b"),
                use("fourier-transform/1", "-exp(-(a**2 + b**2)*w**2/2)", s="(a**2 + b**2)**(1/2)"),
            ),
        ),
        f"{LINDEBERG}, eq. (4)",
        (),
        ("fourier-transform",),
    ),
    Theorem(
        "semigroup-convolution",
        "continuous",
        "Semigroup, as an integral over the line",
        "k_p(x) = p exp(-p^2 x^2) has integral sqrt(pi) and variance 1/(2 p^2). For p = r cos t and q = r sin t the"
        " convolution of k_p and k_q is sqrt(pi) k_P with P = r cos t sin t, and 1/p^2 + 1/q^2 = 1/P^2: variances add"
        " up. In N dimensions axis by axis.",
        Statement(
            {"r": "positive", "t": "real", "x": "real"},
            (
                "Int(r*cos(t)*exp(-r**2*cos(t)**2*(x - u)**2)*r*sin(t)*exp(-r**2*sin(t)**2*u**2), u, 1)"
                " == pi**(1/2)*r*cos(t)*sin(t)*exp(-r**2*cos(t)**2*sin(t)**2*x**2)",
                "1/(r*cos(t))**2 + 1/(r*sin(t))**2 == 1/(r*cos(t)*sin(t))**2",
            ),
        ),
        (
            algebra(
                use("translation", f"{_WEIGHT}", h=f"lambda u: {_PRODUCT}", c="cos(t)**2*x", N="1"),
                use(
                    "change-of-variables",
                    f"{_WEIGHT}*exp(-r**2*cos(t)**2*sin(t)**2*x**2)",
                    h="lambda u: exp(-r**2*u**2)",
                    S="1/r",
                    N="1",
                ),
                use("gaussian-integral", "r*cos(t)*sin(t)*exp(-r**2*cos(t)**2*sin(t)**2*x**2)"),
            ),
            algebra(),
        ),
        f"{LINDEBERG}, eq. (4)",
        ("translation", "change-of-variables", "gaussian-integral"),
    ),
    Theorem(
        "njet-formula",
        "continuous",
        "The N-jet formula for every order",
        "The m-th derivative J_m of the Gaussian is (-1/(s sqrt 2))^m H_m(x/(s sqrt 2)) times the Gaussian.",
        Statement(
            {"m": "natural", "s": "positive", "x": "real", "J": "function"},
            ("J(m, x) == (-1/(s*2**(1/2)))**m*H(m, x/(s*2**(1/2)))*g1(x, s)",),
            GAUSS_1,
            {
                "order zero": Given("J(0, x) == g1(x, s)", ("x",)),
                "next order": Given("J(m + 1, x) == D(J(m, x), x)", ("m", "x")),
            },
        ),
        (
            induction(
                "m",
                algebra(use("given:order zero"), use("hermite-zero", "-g1(x, s)", y="x/(s*2**(1/2))")),
                algebra(
                    use("given:next order"),
                    use("IH", "1", "x"),
                    use(
                        "hermite-derivative/1",
                        "(-1/(s*2**(1/2)))**m*g1(x, s)/(s*2**(1/2))",
                        y="x/(s*2**(1/2))",
                    ),
                    use(
                        "hermite-recursion",
                        "-(-1/(s*2**(1/2)))**(m + 1)*g1(x, s)",
                        y="x/(s*2**(1/2))",
                    ),
                ),
            ),
        ),
        f"{NJET}, eq. (2)",
        ("induction", "hermite-zero", "hermite-recursion"),
        ("hermite-derivative",),
        {"order": "m"},
    ),
    Theorem(
        "self-similarity",
        "continuous",
        "Self-similarity of the Gaussian",
        "S^N g(S r; S s) = g(r; s) in N dimensions.",
        Statement(
            {"S": "positive", "s": "positive", "r": "nonnegative", "N": "natural"},
            ("S**N*g(S*r, S*s) == g(r, s)",),
            GAUSS_N,
        ),
        (algebra(),),
        f"{LINDEBERG}, eq. (5)",
        parameters={"ndim": "N"},
    ),
    Theorem(
        "derivative-of-scaled",
        "continuous",
        "Derivatives of a scaled function",
        "A derivative of order m of F(x/S) is S^-m times the derivative of F at x/S; one coordinate at a time, so"
        " m is the total order of any multi-index.",
        Statement(
            {"m": "natural", "S": "positive", "x": "vector", "F": "function", "J": "function"},
            ("J[m](x) == S**(-m)*F[m](x/S)",),
            {},
            {"the scaled function": Given("J(x) == F(x/S)", ("x",))},
        ),
        (induction("m", algebra(use("given:the scaled function")), algebra(use("IH", "1", "x"))),),
        f"{LINDEBERG}, eq. (15)",
        ("induction",),
        parameters={"order": "m"},
    ),
    Theorem(
        "scale-covariance",
        "continuous",
        "Scale covariance of scale-normalised derivatives",
        "For f'(x) = f(x/S): (S s)^m d^m L'(S x; S s) = s^m d^m L(x; s). Any image F, any kernel profile G, any"
        " dimension N, any multi-index of total order m (G[m] is the profile's derivative); the kernel is"
        " s^-N G((x - u)/s), so each derivative of it brings a factor 1/s (theorem derivative-of-scaled-kernel).",
        Statement(
            {k: v for k, v in _KERNEL.items() if k != "p"},
            ("Int(F(u/S)*(S*s)**(-N)*G[m]((S*x - u)/(S*s)), u, N) == Int(F(u)*s**(-N)*G[m]((x - u)/s), u, N)",),
        ),
        (algebra(_TO_SCALED_1),),
        f"{LINDEBERG}, eq. (15)",
        ("change-of-variables",),
        (),
        {"ndim": "N", "order": "m", "norm_power": "p"},
    ),
    Theorem(
        "normalisation-factor",
        "continuous",
        "The factor of any other normalisation power",
        "With sigma^(p m) instead of sigma^m the scaled image gives S^(m (p - 1)) times as much. Its"
        " logarithm m (p - 1) log S vanishes for S other than 1 exactly if p = 1 or m = 0.",
        Statement(
            _KERNEL,
            (f"{_JET_SCALED} == S**(m*(p - 1))*{_JET}", "log(S**(m*(p - 1))) == m*(p - 1)*log(S)"),
        ),
        (algebra(_TO_SCALED), algebra()),
        f"{LINDEBERG}, eq. (15)",
        ("change-of-variables",),
        (),
        {"ndim": "N", "order": "m", "norm_power": "p"},
    ),
    Theorem(
        "sigma-ladder",
        "continuous",
        "The sigma ladder, from the diffusion equation",
        "s d/ds of a scale-normalised derivative is its order times itself plus the scale-normalised derivatives two"
        " orders higher: L_s = s (L_xx + rest), rest the other axes of the Laplacian.",
        Statement(
            {"L": "function", "R": "function", "x": "real", "s": "positive", "m": "natural"},
            ("s*D(s**m*L[m](x, s), s) == m*s**m*L[m](x, s) + s**(m + 2)*(L[m + 2](x, s) + R[m](x, s))",),
            {},
            {"diffusion of order m": Given("L[m, 1](x, s) == s*(L[m + 2](x, s) + R[m](x, s))", ("m", "x", "s"))},
        ),
        (algebra(use("given:diffusion of order m", "s**(m + 1)")),),
        f"{NJET}, section 3.3",
        parameters={"order": "m"},
    ),
)
KERNEL_LEMMA = Theorem(
    "derivative-of-scaled-kernel",
    "continuous",
    "Derivatives of the scaled kernel",
    "One more derivative of s^-m G_m((x - u)/s), along any axis, is s^-(m+1) G_(m+1)((x - u)/s).",
    Statement(
        {
            "G": "function",
            "x": "vector",
            "u": "vector",
            "s": "positive",
            "m": "natural",
            "N": "natural",
        },
        ("D(s**(-N - m)*G[m]((x - u)/s), x) == s**(-N - m - 1)*G[m + 1]((x - u)/s)",),
    ),
    (algebra(),),
    f"{LINDEBERG}, eq. (15)",
    parameters={"ndim": "N", "order": "m"},
)
