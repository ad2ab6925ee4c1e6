"""Wrong statements that must be refuted, each with a witness: the prover and the checker are not vacuous."""

from .model import Given, Refutation, Statement

_G1 = {"g1(x, s)": "(2*pi*s**2)**(-1/2)*exp(-x**2/(2*s**2))"}
_GN = {"g(r, s)": "(2*pi*s**2)**(-N/2)*exp(-r**2/(2*s**2))"}
_T = {"T(w, v)": "exp(-v*(1 - cos(w)))"}
_POINT = {"x": "1", "s": "1"}
_HEAT = {"S": "positive", "s": "positive", "f": "function"}


def _wrong(
    name: str,
    mistake: str,
    claim: str,
    variables: dict[str, str],
    witness: dict[str, str],
    theorem: str,
    definitions: dict[str, str] | None = None,
    given: dict[str, Given] | None = None,
) -> Refutation:
    return Refutation(
        name,
        mistake,
        Statement(variables, (claim,), definitions or {}, given or {}),
        witness,
        theorem,
    )


_XS = {"x": "real", "s": "positive"}
_FIELD = {"F is a field": Given("Fp(S*x, S*s) == S**w*F(x, s)", ("x", "s"))}
_FVARS = {
    "F": "function",
    "Fp": "function",
    "x": "real",
    "s": "positive",
    "S": "positive",
    "w": "real",
}
_LINEAR = {"F": "lambda x, s: x", "Fp": "lambda x, s: x", "x": "1", "s": "1", "S": "2", "w": "1"}

REFUTATIONS = (
    _wrong(
        "diffusion-without-sigma",
        "factor sigma missing",
        "D(g1(x, s), s) == D(g1(x, s), x, x)",
        _XS,
        {"x": "1", "s": "2"},
        "diffusion-equation",
        _G1,
    ),
    _wrong(
        "diffusion-wrong-sign",
        "wrong sign",
        "D(g1(x, s), s) == -s*D(g1(x, s), x, x)",
        _XS,
        {"x": "0", "s": "1"},
        "diffusion-equation",
        _G1,
    ),
    _wrong(
        "diffusion-wrong-dimension",
        "N for N - 1",
        "D(g(r, s), s) == s*(D(g(r, s), r, r) + N/r*D(g(r, s), r))",
        {"r": "positive", "s": "positive", "N": "natural"},
        {"r": "1", "s": "1", "N": "2"},
        "diffusion-equation",
        _GN,
    ),
    _wrong(
        "self-similarity-without-jacobian",
        "S^N missing",
        "g(S*r, S*s) == g(r, s)",
        {"r": "positive", "s": "positive", "S": "positive", "N": "natural"},
        {"r": "1", "s": "1", "S": "2", "N": "2"},
        "self-similarity",
        _GN,
    ),
    _wrong(
        "unnormalised-derivative",
        "sigma normalisation missing",
        "At(D(Heat(f(x/S), s, x), x), x, 0) == At(D(Heat(f(x), s, x), x), x, 0)",
        _HEAT,
        {"S": "2", "s": "1", "f": "lambda x: x"},
        "scale-covariance",
    ),
    _wrong(
        "half-normalised-derivative",
        "normalisation power 1/2",
        "At((S*s)**(1/2)*D(Heat(f(x/S), s, x), x), x, 0) == At(s**(1/2)*D(Heat(f(x), s, x), x), x, 0)",
        _HEAT,
        {"S": "4", "s": "1", "f": "lambda x: x"},
        "normalisation-factor",
    ),
    _wrong(
        "second-order-normalised-once",
        "sigma for sigma^2",
        "At(S*s*D(Heat(f(x/S), s, x), x, x), x, 0) == At(s*D(Heat(f(x), s, x), x, x), x, 0)",
        _HEAT,
        {"S": "2", "s": "1", "f": "lambda x: x**2"},
        "scale-covariance",
    ),
    _wrong(
        "fixed-sigma",
        "sigma does not follow the image",
        "At(Heat(f(x/S), s, x), x, 0) == At(Heat(f(x), s, x), x, 0)",
        _HEAT,
        {"S": "2", "s": "1", "f": "lambda x: x**2"},
        "scale-covariance",
    ),
    _wrong(
        "swapped-axes",
        "x and y exchanged",
        "D(Heat(f(x, y), s, x, y), x) == D(Heat(f(x, y), s, x, y), y)",
        {"x": "real", "y": "real", "s": "positive", "f": "function"},
        {"x": "1", "y": "2", "s": "1", "f": "lambda x, y: x*y"},
        "steering-2d",
    ),
    _wrong(
        "steering-without-mixed",
        "mixed term missing",
        "At(D(L(x + c*r, y + q*r), r, r), r, 0) == c**2*D(L(x, y), x, x) + q**2*D(L(x, y), y, y)",
        {"L": "function", "x": "real", "y": "real", "c": "real", "q": "real", "r": "real"},
        {"L": "lambda x, y: x*y", "x": "0", "y": "0", "c": "1", "q": "1", "r": "0"},
        "steering-2d",
    ),
    _wrong(
        "hermite-wrong-factor",
        "m for 2 m",
        "D(h(x), x) == k(x)*2",
        {"h": "function", "k": "function", "x": "real"},
        {"h": "lambda x: 4*x**2 - 2", "k": "lambda x: 2*x", "x": "1"},
        "hermite-derivative",
    ),
    _wrong(
        "bias-on-weight-one",
        "bias on a field of weight 1",
        "Fp(S*x, S*s) + b == S**w*(F(x, s) + b)",
        {**_FVARS, "b": "real"},
        {**_LINEAR, "b": "1"},
        "layer-bias",
        None,
        _FIELD,
    ),
    _wrong(
        "square-keeps-weight",
        "a nonlinearity on a field of weight 1",
        "Fp(S*x, S*s)**2 == S**w*F(x, s)**2",
        _FVARS,
        _LINEAR,
        "layer-pointwise",
        None,
        _FIELD,
    ),
    _wrong(
        "product-keeps-weight",
        "weights do not add",
        "Fp(S*x, S*s)*Fp(S*x, S*s) == S**w*F(x, s)*F(x, s)",
        _FVARS,
        _LINEAR,
        "layer-product",
        None,
        _FIELD,
    ),
    _wrong(
        "fixed-convolution",
        "fixed 3-tap average",
        "(f(x/S - 1/S) + f(x/S) + f(x/S + 1/S))/3 == (f(x/S - 1) + f(x/S) + f(x/S + 1))/3",
        {"f": "function", "x": "real", "S": "positive"},
        {"f": "lambda x: x**2", "x": "0", "S": "2"},
        "layer-jet",
    ),
    _wrong(
        "window-maximum",
        "fixed pooling window",
        "max(f((x - 1)/S), f((x + 1)/S)) == max(f(x/S - 1), f(x/S + 1))",
        {"f": "function", "x": "real", "S": "positive"},
        {"f": "lambda x: x", "x": "0", "S": "2"},
        "layer-spatial-maximum",
    ),
    _wrong(
        "off-centre-readout",
        "read-out one pixel off the fixed point",
        "f((x + 1)/S) == f(x/S + 1)",
        {"f": "function", "x": "real", "S": "positive"},
        {"f": "lambda x: x", "x": "0", "S": "2"},
        "layer-centre",
    ),
    _wrong(
        "continuous-symbol",
        "continuous symbol for the discrete one",
        "T(w, v) == exp(-v*w**2/2)",
        {"w": "real", "v": "positive"},
        {"w": "1", "v": "1"},
        "discrete-diffusion",
        _T,
    ),
    _wrong(
        "discrete-fourth-moment",
        "3 v^2 for 3 v^2 + v",
        "At(D(T(w, v), w, w, w, w), w, 0) == 3*v**2",
        {"w": "real", "v": "positive"},
        {"w": "0", "v": "1"},
        "discrete-moments",
        _T,
    ),
    _wrong(
        "difference-squared",
        "delta_x^2 for delta_xx",
        "-sin(w)**2 == 2*cos(w) - 2",
        {"w": "real"},
        {"w": "1"},
        "difference-of-difference",
    ),
    _wrong(
        "max-invariant",
        "max over a finite grid is invariant",
        "max(A, E) == max(A, L)",
        {"A": "real", "E": "real", "L": "real"},
        {"A": "0", "E": "1", "L": "0"},
        "channel-max",
    ),
    _wrong(
        "isr-moves-at-zero",
        "g = 0 is not stationary",
        "D((1 + g**2)**(1/2), g) == g + 1",
        {"g": "real"},
        {"g": "0"},
        "isr-gradient",
    ),
    _wrong(
        "sigma-gradient-weight",
        "d/ds for d/d(log s)",
        "Fp[0, 1](S*x, S*s) == F[0, 1](x, s)",
        {"F": "function", "Fp": "function", "x": "real", "s": "positive", "S": "positive"},
        {"F": "lambda x, s: x/s", "Fp": "lambda x, s: x/s", "x": "1", "s": "1", "S": "2"},
        "log-sigma-invariant",
        None,
        {"F is a field": Given("Fp(S*x, S*s) == F(x, s)", ("x", "s"))},
    ),
)
