"""The network algebra: how each layer transforms a field of weight w, F'(S x; S s) = S^w F(x; s).

`RULES` gives, per layer, the weights it needs and makes and the theorem that says so: pure data, so that a
network certificate is re-derived from it without the prover.
"""

from dataclasses import dataclass

from .continuous import LINDEBERG
from .model import Given, Statement, Step, Theorem, Use, algebra, consequence, use

RESIDUAL = "Perzanowski and Lindeberg, Scale-invariant Gaussian derivative residual networks (2026)"


@dataclass(frozen=True)
class Rule:
    """A rule of the network algebra.

    Attributes:
        id: name of the layer kind.
        theorem: id of the theorem that proves it.
        needs: `equal` (all inputs have one weight), `zero` (all weights 0), `any`.
        weight: the output's weight in the formula language; w is the input's, v the second factor's, p the
            normalisation power, m the total derivative order, N the dimension.
    """

    id: str
    theorem: str
    needs: str
    weight: str


RULES: dict[str, Rule] = {
    r.id: r
    for r in (
        Rule("jet", "layer-jet", "any", "w + m*(p - 1)"),
        Rule("mix", "layer-mix", "equal", "w"),
        Rule("add", "layer-mix", "equal", "w"),
        Rule("depthwise-separable", "layer-depthwise-separable", "equal", "w"),
        Rule("concatenate", "layer-mix", "equal", "w"),
        Rule("multiply", "layer-product", "any", "w + v"),
        Rule("bias", "layer-bias", "zero", "0"),
        Rule("batch-norm-evaluation", "layer-batch-norm", "zero", "0"),
        Rule("pointwise", "layer-pointwise", "zero", "0"),
        Rule("homogeneous-pointwise", "layer-homogeneous", "any", "w"),
        Rule("spatial-maximum", "layer-spatial-maximum", "any", "w"),
        Rule("centre-value", "layer-centre", "any", "w"),
        Rule("integral", "layer-integral", "any", "w + N"),
        Rule("mean-scaling-canvas", "layer-mean", "any", "w"),
        Rule("scale-shift", "layer-scale-shift", "any", "w"),
        Rule("pool-over-scales", "layer-pool-over-scales", "equal", "w"),
        Rule("logsumexp-over-scales", "layer-pool-logsumexp", "zero", "0"),
        Rule("convolution-over-scales", "layer-scale-convolution", "equal", "w"),
    )
}

_BASE = {"S": "positive", "s": "positive", "x": "vector", "w": "real"}


def _field(name: str, weight: str = "w") -> Given:
    return Given(f"{name}p(S*x, S*s) == S**({weight})*{name}(x, s)", ("x", "s"))


def layer(
    name: str,
    title: str,
    words: str,
    claim: str | tuple[str, ...],
    *uses: Use,
    fields: dict[str, str] | None = None,
    kinds: dict[str, str] | None = None,
    axioms: tuple[str, ...] = (),
    extra: dict[str, Given] | None = None,
    source: str = f"{LINDEBERG}, section 4.3",
    proof: tuple[Step, ...] | None = None,
    drop: str = "",
) -> Theorem:
    """A theorem on fields: `fields` maps each to its weight, `extra` adds hypotheses, `drop` removes variables."""
    fields = {"F": "w"} if fields is None else fields
    functions = {n: "function" for f in fields for n in (f, f"{f}p")}
    variables = {k: v for k, v in {**_BASE, **functions, **(kinds or {})}.items() if k not in drop.split()}
    given = {f"{f} is a field": _field(f, weight) for f, weight in fields.items()} | (extra or {})
    claims = (claim,) if isinstance(claim, str) else claim
    return Theorem(
        f"layer-{name}",
        "layers",
        title,
        words,
        Statement(variables, claims, {}, given),
        proof or (algebra(*uses),),
        source,
        axioms,
    )


F = "given:F is a field"
G = "given:G is a field"

THEOREMS = (
    layer(
        "jet",
        "Jet: weight w + m (p - 1)",
        "A derivative of total order m at sigma = b s, normalised with sigma^(p m), of a field of weight w; any"
        " kernel profile K, any dimension N.",
        "(b*S*s)**(p*m - m)*Int(Fp(u, S*s)*(b*S*s)**(-N)*K[m]((S*x - u)/(b*S*s)), u, N)"
        " == S**(w + m*(p - 1))*(b*s)**(p*m - m)*Int(F(u, s)*(b*s)**(-N)*K[m]((x - u)/(b*s)), u, N)",
        use(
            "change-of-variables",
            "(b*S*s)**(p*m - m)",
            h="lambda u: Fp(u, S*s)*(b*S*s)**(-N)*K[m]((S*x - u)/(b*S*s))",
        ),
        use(
            "under-integral",
            "(b*S*s)**(p*m - m)*S**N*(b*S*s)**(-N)",
            h="lambda u: Fp(S*u, S*s)",
            k="lambda u: S**w*F(u, s)",
            q="lambda u: K[m]((x - u)/(b*s))",
        ),
        kinds={"b": "positive", "p": "real", "m": "natural", "N": "natural", "K": "function"},
        axioms=("change-of-variables", "under-integral"),
    ),
    layer(
        "product",
        "Products: weights add",
        "The product of fields of weights w and v has weight w + v.",
        "Fp(S*x, S*s)*Gp(S*x, S*s) == S**(w + v)*F(x, s)*G(x, s)",
        use(F, "Gp(S*x, S*s)"),
        use(G, "S**w*F(x, s)"),
        fields={"F": "w", "G": "v"},
        kinds={"v": "real"},
    ),
    layer(
        "bias",
        "Bias: weight 0",
        "A constant may be added to a field of weight 0.",
        "Fp(S*x, S*s) + b == F(x, s) + b",
        use(F),
        fields={"F": "0"},
        kinds={"b": "real"},
        drop="w",
    ),
    layer(
        "batch-norm",
        "Batch normalisation in evaluation mode: weight 0",
        "Fixed mean a, variance v > 0 and affine parameters c, d act on the values alone.",
        "(Fp(S*x, S*s) - a)*v**(-1/2)*c + d == (F(x, s) - a)*v**(-1/2)*c + d",
        use(F, "v**(-1/2)*c"),
        fields={"F": "0"},
        kinds={"a": "real", "v": "positive", "c": "real", "d": "real"},
        drop="w",
    ),
    layer(
        "pointwise",
        "Any pointwise nonlinearity: weight 0",
        "Equal values have equal images.",
        "phi(Fp(S*x, S*s)) == phi(F(x, s))",
        use("equal-arguments", f="phi", a="Fp(S*x, S*s)", b="F(x, s)"),
        fields={"F": "0"},
        kinds={"phi": "function"},
        axioms=("equal-arguments",),
        drop="w",
    ),
    layer(
        "homogeneous",
        "ReLU, absolute value, leaky ReLU: any weight",
        "A positively homogeneous nonlinearity passes the positive factor S^w on.",
        "phi(Fp(S*x, S*s)) == S**w*phi(F(x, s))",
        use("equal-arguments", f="phi", a="Fp(S*x, S*s)", b="S**w*F(x, s)"),
        use("given:phi is positively homogeneous", c="S**w", y="F(x, s)"),
        kinds={"phi": "function", "c": "positive", "y": "real"},
        axioms=("equal-arguments",),
        extra={"phi is positively homogeneous": Given("phi(c*y) == c*phi(y)", ("c", "y"))},
    ),
    layer(
        "spatial-maximum",
        "Spatial maximum: any weight",
        "x -> S x permutes the points, so the set of values is the scaled set, and so is its supremum; in R^N.",
        "Sup(Fp(u, S*s), u, N) == S**w*Sup(F(u, s), u, N)",
        proof=(
            consequence(
                use("supremum-reindex", h="lambda u: Fp(u, S*s)"),
                use("supremum-equal", h="lambda u: Fp(S*u, S*s)", k="lambda u: S**w*F(u, s)"),
                use("supremum-scaled", c="S**w", h="lambda u: F(u, s)"),
                needs=(algebra(use(F, x="point")),),
            ),
        ),
        kinds={"N": "natural"},
        axioms=("supremum-reindex", "supremum-equal", "supremum-scaled"),
    ),
    layer(
        "centre",
        "Value at the fixed point: any weight",
        "The read-out at the centre of scaling x = 0.",
        "Fp(0, S*s) == S**w*F(0, s)",
        use(F, x="0"),
    ),
    layer(
        "integral",
        "Integral over space: weight w + N",
        "On R^N (or a black background) the integral gains S^N.",
        "Int(Fp(u, S*s), u, N) == S**(w + N)*Int(F(u, s), u, N)",
        use("change-of-variables", h="lambda u: Fp(u, S*s)"),
        use(
            "under-integral",
            "S**N",
            h="lambda u: Fp(S*u, S*s)",
            k="lambda u: S**w*F(u, s)",
            q="lambda u: 1",
        ),
        kinds={"N": "natural"},
        axioms=("change-of-variables", "under-integral"),
    ),
    layer(
        "mean",
        "Mean over a canvas that scales with the image: weight w",
        "The area V of the canvas becomes S^N V, which cancels the factor of the integral. On a fixed canvas the"
        " factor stays, and the weight is w + N.",
        "(S**N*V)**(-1)*Int(Fp(u, S*s), u, N) == S**w*V**(-1)*Int(F(u, s), u, N)",
        use("change-of-variables", "S**(-N)*V**(-1)", h="lambda u: Fp(u, S*s)"),
        use(
            "under-integral",
            "V**(-1)",
            h="lambda u: Fp(S*u, S*s)",
            k="lambda u: S**w*F(u, s)",
            q="lambda u: 1",
        ),
        kinds={"N": "natural", "V": "positive"},
        axioms=("change-of-variables", "under-integral"),
    ),
    layer(
        "scale-shift",
        "Reading another scale channel: any weight",
        "The channel at b s moves to b S s.",
        "Fp(S*x, S*b*s) == S**w*F(x, b*s)",
        use(F, s="b*s"),
        kinds={"b": "positive"},
    ),
    layer(
        "residual-block",
        "Residual block in any dimension",
        "Skip (1x1 projection a) plus c times an arbitrary nonlinearity of a covariant branch G of weight 0: the"
        " block is covariant of weight 0, in any dimension.",
        "a*Fp(S*x, S*s) + c*phi(Gp(S*x, S*s)) == a*F(x, s) + c*phi(G(x, s))",
        use(F, "a"),
        use("equal-arguments", "c", f="phi", a="Gp(S*x, S*s)", b="G(x, s)"),
        fields={"F": "0", "G": "0"},
        kinds={"a": "real", "c": "real", "phi": "function"},
        axioms=("equal-arguments",),
        source=f"{RESIDUAL}, abstract",
        drop="w",
    ),
    Theorem(
        "residual-block-diffusion",
        "layers",
        "A residual block as a step of diffusion",
        "One forward Euler step of length h of the velocity-adapted affine diffusion equation is the identity skip"
        " plus a jet layer with weights h/s^2 times (1/2) Sigma on second and -h/s times v on first derivatives,"
        " scale-normalised at s.",
        Statement(
            {
                "L": "function",
                "x": "real",
                "y": "real",
                "h": "positive",
                "s": "positive",
                "vx": "real",
                "vy": "real",
                "sxx": "real",
                "sxy": "real",
                "syy": "real",
            },
            (
                "L(x, y) + h*((sxx*D(L(x, y), x, x) + 2*sxy*D(L(x, y), x, y) + syy*D(L(x, y), y, y))/2"
                " - vx*D(L(x, y), x) - vy*D(L(x, y), y)) == L(x, y)"
                " + (h*sxx/s**2)/2*s**2*D(L(x, y), x, x) + (h*sxy/s**2)*s**2*D(L(x, y), x, y)"
                " + (h*syy/s**2)/2*s**2*D(L(x, y), y, y) + (-h*vx/s)*s*D(L(x, y), x) + (-h*vy/s)*s*D(L(x, y), y)",
            ),
        ),
        (algebra(),),
        f"{RESIDUAL}, abstract",
    ),
)
