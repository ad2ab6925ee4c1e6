"""Scale covariance written out: the Gaussian itself, axis by axis, in 1, 2 and 3 dimensions.

The theorem `scale-covariance` holds for every profile, dimension and order at once. Here the derivatives of the
Gaussian to order 5 are carried out and seen to scale, and the derivatives of an image are iterated integrals against
one such kernel an axis.
"""

from collections.abc import Mapping, Sequence

from .continuous import GAUSS_1, LINDEBERG, NJET
from .model import Given, Statement, Step, Theorem, Use, algebra, consequence, use

ORDER = 5
_Axis = tuple[str, str, str, str]  # coordinate, point of integration, kernel, order
_AXES: tuple[_Axis, ...] = (("x", "u", "K", "a"), ("y", "v", "M", "b"), ("z", "w", "P", "c"))
_JACOBIAN = ("change-of-variables", "change-of-variables-plane", "change-of-variables-space")
_HERMITE = (
    "1",
    "-x",
    "x**2 - s**2",
    "-x**3 + 3*s**2*x",
    "x**4 - 6*s**2*x**2 + 3*s**4",
    "-x**5 + 10*s**2*x**3 - 15*s**4*x",
)
_DERIVATIVES = {f"d{m}(x, s)": f"({p})*s**(-{2 * m})*g1(x, s)" for m, p in enumerate(_HERMITE)}


def _kernels(axes: Sequence[_Axis], names: Mapping[str, str], image: str, point: str) -> list[str]:
    """One kernel an axis, x and s multiplied by `image`, the point of integration by `point`."""
    return [f"{k}({image}{x} - {point}{names[u]}, {image}s)" for x, u, k, _ in axes]


def _integrand(axes: Sequence[_Axis], names: Mapping[str, str], scaled: bool) -> str:
    """The image times the kernels, after the change of variables: what is to be compared at each point."""
    image = f"f({', '.join(names[u] for _, u, _, _ in axes)})"
    return "*".join([image, *_kernels(axes, names, "S*" if scaled else "", "S*" if scaled else "")])


def _over(text: str, points: Sequence[str]) -> str:
    for point in points:
        text = f"Int({text}, {point}, 1)"
    return text


def _at_a_point(axes: Sequence[_Axis], names: Mapping[str, str]) -> Step:
    """Each kernel in turn is replaced by the original one."""
    uses, gained = [], ""
    scaled, plain = _kernels(axes, names, "S*", "S*"), _kernels(axes, names, "", "")
    for i, (x, u, k, order) in enumerate(axes):
        gained += f" - {order} - 1"
        image = f"f({', '.join(names[v] for _, v, _, _ in axes)})"
        factor = "*".join([image, f"S**({gained[1:]})", *plain[:i], *scaled[i + 1 :]])
        uses.append(use(f"given:{k} is self-similar", factor, **{x: f"{x} - {names[u]}"}))
    return algebra(*uses)


def _integrals(axes: Sequence[_Axis], depth: int, names: dict[str, str], first: tuple[Use, ...], times: str) -> Step:
    """The outermost of `depth` integrals has equal integrands, which are integrals again."""
    if not depth:
        return _at_a_point(axes, names)
    inner = [u for _, u, _, _ in axes[: depth - 1]]
    outer = axes[depth - 1][1]
    gain = f"S**(-({' + '.join(o for *_, o in axes)}) - {len(axes)})"
    congruence = use(
        "under-integral",
        times,
        h=f"lambda {outer}: {_over(_integrand(axes, names, True), inner)}",
        k=f"lambda {outer}: {gain}*{_over(_integrand(axes, names, False), inner)}",
        q="lambda u: 1",
        N="1",
    )
    point = f"point{len(axes) - depth or ''}"
    return consequence(*first, congruence, needs=(_integrals(axes, depth - 1, {**names, outer: point}, (), "1"),))


def _theorem(ndim: int) -> Theorem:
    axes = _AXES[:ndim]
    points = [u for _, u, _, _ in axes]
    names = {u: u for u in points}
    order = " + ".join(o for *_, o in axes)
    image = "*".join([f"f({', '.join(f'{u}/S' for u in points)})", *_kernels(axes, names, "S*", "")])
    variables = {"f": "function", "S": "positive", "s": "positive"}
    given = {}
    for x, _, k, o in axes:
        variables |= {x: "real", k: "function", o: "natural"}
        given[f"{k} is self-similar"] = Given(f"S**({o} + 1)*{k}(S*{x}, S*s) == {k}({x}, s)", (x,))
    values = {"h": f"lambda {', '.join(points)}: {image}"} | ({"N": "1"} if ndim == 1 else {})
    change = use(_JACOBIAN[ndim - 1], f"(S*s)**({order})", **values)
    claim = f"(S*s)**({order})*{_over(image, points)} == s**({order})*{_over(_integrand(axes, names, False), points)}"
    return Theorem(
        f"explicit-covariance-{ndim}d",
        "continuous",
        f"Scale covariance in {ndim} dimension{'s' * (ndim > 1)}, as an iterated integral",
        "(S s)^m d^a L'(S x; S s) = s^m d^a L(x; s), m = |a|: one kernel an axis, any of the derivatives d_0 to d_5 of"
        " the Gaussian, whose self-similarity is theorem explicit-derivatives.",
        Statement(variables, (claim,), {}, given),
        (_integrals(axes, ndim, names, (change,), f"(S*s)**({order})*S**{ndim}"),),
        f"{LINDEBERG}, eq. (15)",
        (_JACOBIAN[ndim - 1], "under-integral"),
    )


THEOREMS = (
    Theorem(
        "explicit-derivatives",
        "continuous",
        f"The derivatives of the Gaussian to order {ORDER}",
        "Each is a Hermite polynomial in x and s over s^(2 m) times the Gaussian, differentiated one by one; and each"
        " is self-similar: S^(m + 1) d_m(S x, S s) = d_m(x, s).",
        Statement(
            {"x": "real", "s": "positive", "S": "positive"},
            (
                "d0(x, s) == g1(x, s)",
                *(f"D(d{m}(x, s), x) == d{m + 1}(x, s)" for m in range(ORDER)),
                *(f"S**{m + 1}*d{m}(S*x, S*s) == d{m}(x, s)" for m in range(ORDER + 1)),
            ),
            GAUSS_1 | _DERIVATIVES,
        ),
        tuple(algebra() for _ in range(2 * ORDER + 2)),
        f"{NJET}, eq. (2)",
    ),
    *(_theorem(ndim) for ndim in (1, 2, 3)),
)
