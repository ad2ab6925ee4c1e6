"""The rules: from the types of the operands to the type of the result, or why there is none.

Every function here is one rule of `RULES`; its data are plain JSON, so that a derivation can be written down and
derived again by `check`. Theorem: with F'(S x; S sigma) = S^w F(x; sigma) of the operands, the result transforms as
its type says, for every F.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from .domain import Atom, Axis, NoRule, Refuted, Slice, Terms, Type, close, common_window, minus, plus, size
from .family import check_family
from .family import fold as fold


def settle(kind: Type) -> Type:
    """The type once its scale channels are known to be one family; powers of sigma in factors join the weight."""
    power = check_family(kind)
    if not power:
        return kind
    slices = tuple(replace(s, gain=plus(s.gain, s.anchor or (0.0,), -float(power))) for s in kind.slices)
    base = slices[0].gain
    slices = tuple(replace(s, gain=base) for s in slices)
    return replace(kind, weight=kind.weight + power, slices=slices)


def image(shape: Sequence[int]) -> Type:
    """An image [B, C, *spatial], centred, of weight 0, black outside."""
    axes: list[Axis] = []
    for i, n in enumerate(shape):
        if i >= 2:
            axes.append((Atom("X", n, i - 2, Fraction(1), -Fraction(n - 1, 2)),))
        else:
            axes.append((Atom("B" if i == 0 else "C", n),) if n > 1 else ())
    return Type(tuple(axes), Fraction(0), (Slice(0),))


def reshape(kind: Type, shape: Sequence[int]) -> Type:
    """The same entries in the same order under other axes."""
    pending = [atom for axis in kind.axes for atom in axis]
    axes: list[Axis] = []
    for n in shape:
        axis: list[Atom] = []
        rest = n
        while rest > 1:
            if not pending:
                raise NoRule(f"reshape to {list(shape)}")
            atom = pending.pop(0)
            if rest % atom.size == 0:
                axis.append(atom)
                rest //= atom.size
            elif atom.size % rest == 0 and atom.kind in "BCR":
                axis.append(replace(atom, size=rest))
                pending.insert(0, replace(atom, size=atom.size // rest))
                rest = 1
            else:
                raise NoRule(f"reshape to {list(shape)} cuts a {_WORDS[atom.kind]} axis")
        axes.append(tuple(axis))
    if pending:
        raise NoRule(f"reshape to {list(shape)}")
    return replace(kind, axes=tuple(axes))


_WORDS = {"S": "scale", "B": "batch", "C": "channel", "X": "spatial", "R": "repeated", "P": "spatial", "W": "window"}


def permute(kind: Type, dims: Sequence[int]) -> Type:
    """Axes in another order."""
    return replace(kind, axes=tuple(kind.axes[d] for d in dims))


def expand(kind: Type, shape: Sequence[int]) -> Type:
    """Copies along new axes and axes of size 1."""
    lead = len(shape) - len(kind.axes)
    axes: list[Axis] = [((Atom("R", n),) if n > 1 else ()) for n in shape[:lead]]
    for axis, n in zip(kind.axes, shape[lead:], strict=True):
        axes.append(axis if n in (-1, size(axis)) else (Atom("R", n),))
    return replace(kind, axes=tuple(axes))


def _merge_axis(a: Axis, b: Axis) -> Axis:
    if a == b or not b:
        return a
    if not a:
        return b
    if size(a) != size(b):
        raise NoRule("axes of different sizes")
    kinds_a, kinds_b = {x.kind for x in a}, {x.kind for x in b}
    if kinds_a <= {"R"}:
        return b
    if kinds_b <= {"R"}:
        return a
    if kinds_a <= set("BCR") and kinds_b <= set("BCR"):
        return a
    if [x.kind for x in a] == [x.kind for x in b] and [x.size for x in a] == [x.size for x in b]:
        for x, y in zip(a, b, strict=True):
            if x.kind == "X" and (x.spacing, x.offset) != (y.spacing, y.offset):
                # Where the first value is read at the centre, the second is read at `away`.
                away = y.offset - y.spacing * x.offset / x.spacing
                if not away and (x.spacing, x.offset) != (-y.spacing, -y.offset):
                    raise NoRule("values on grids of different spacing about one centre are combined")
                if not away:
                    continue
                raise Refuted(
                    "unequal-grids",
                    f"values on different grids are combined: samples at {x.offset} + {x.spacing} k and at "
                    f"{y.offset} + {y.spacing} k",
                    {"kind": "taps", "taps": [["0", "1"], [str(away), "1"]]},
                )
        if all(x == replace(y, axis=x.axis) for x, y in zip(a, b, strict=True)):
            return a  # f(x, y) + f(y, x): scaling does not tell the axes of the image apart
        if all(x == replace(y, axis=x.axis, spacing=-y.spacing, offset=-y.offset) for x, y in zip(a, b, strict=True)):
            return a  # f(x) + f(-x): a reflection about the centre commutes with scaling
    raise NoRule("axes of different meaning are combined")


def _common_slices(kinds: Sequence[Type]) -> int:
    n = max(k.n_scales for k in kinds)
    if any(k.n_scales not in (1, n) for k in kinds):
        raise NoRule("different numbers of scale channels are combined")
    return n


def combine(
    kinds: Sequence[Type],
    terms: Terms,
    *,
    function: str,
    weight: Fraction,
    codes: Sequence[Sequence[int]],
    zero: bool,
    extra: Sequence[int] = (),
    power: Fraction = Fraction(1),
) -> Type:
    """A pointwise function of values on one grid; `codes` are the terms of the operands, `extra` of constants."""
    _no_index(kinds)
    rank = max(len(k.axes) for k in kinds)
    axes: list[Axis] = [()] * rank
    for k in kinds:
        lead = rank - len(k.axes)
        for i, axis in enumerate(k.axes):
            axes[lead + i] = _merge_axis(axes[lead + i], axis)
    n = _common_slices(kinds)
    if sum(a.kind == "S" for axis in axes for a in axis) > 1:
        raise NoRule("two scale axes")
    slices = []
    for i in range(n):
        parts = [
            replace(k.slices[0], anchor=None) if k.free and n > 1 else k.slices[i if k.n_scales > 1 else 0]
            for k in kinds
        ]
        own = [c[i if len(c) > 1 else 0] for c in codes]
        anchor = next((p.anchor for p in parts if p.anchor is not None), None)
        offsets = tuple(
            None if p.anchor is None or anchor is None else terms.snap(minus(p.anchor, anchor)) for p in parts
        )
        constant = extra[i if len(extra) > 1 else 0] if extra else -1
        gain = tuple(float(power) * g for g in parts[0].gain) if len(kinds) == 1 else (0.0,)
        slices.append(Slice(terms.number(function, tuple(own), offsets, constant), anchor, gain))
    return Type(
        tuple(axes),
        weight,
        tuple(slices),
        _reads(kinds),
        zero and all(dark(k, tuple(axes)) for k in kinds),
        all(k.free or k.slices[0].anchor is None for k in kinds) and any(k.free for k in kinds),
        None,
        next((k.lost for k in kinds if k.lost), None),
        False,
        common_window([k.window for k in kinds]),
        all(even(k, tuple(axes)) for k in kinds),
    )


def even(kind: Type, axes: Sequence[Axis]) -> bool:
    """Whether a value is the same all over the background of a field with these axes.

    The maximum of a row beside an object is not that of a row without one.
    """
    own = {a.axis for a in kind.atoms("X")}
    new = {a.axis for axis in axes for a in axis if a.kind == "X"}
    return not own or ((kind.flat or kind.black) and new <= own)


def dark(kind: Type, axes: Sequence[Axis]) -> bool:
    """Whether a value is 0 on the background of a field with these axes.

    What was read out of space is 0 on a black image, but not beside an object: broadcast, it is no black background.
    """
    own = {a.axis for a in kind.atoms("X")}
    return kind.black and (kind.axes == () or {a.axis for axis in axes for a in axis if a.kind == "X"} <= own)


def _no_index(kinds: Sequence[Type]) -> None:
    if any(k.index for k in kinds):
        raise NoRule("arithmetic with the number of a scale channel")


def _reads(kinds: Sequence[Type]) -> tuple[tuple[int, Fraction], ...]:
    return tuple(sorted({place for k in kinds for place in k.at}))


def pointwise(
    kinds: Sequence[Type],
    terms: Terms,
    *,
    function: str,
    degree: Fraction | None,
    zero: bool,
    extra: Sequence[int] = (),
) -> Type:
    """phi(F): any phi for weight 0; phi homogeneous of `degree` for any weight of a single operand."""
    if degree is not None and len(kinds) == 1:
        k = kinds[0]
        result = combine(
            kinds,
            terms,
            function=function,
            weight=degree * k.weight,
            codes=[[s.term for s in k.slices]],
            zero=zero,
            extra=extra,
            power=degree,
        )
    else:
        folded = [fold(k, terms, function)[1] for k in kinds]
        result = combine(
            kinds, terms, function=function, weight=Fraction(0), codes=folded, zero=zero, extra=extra, power=Fraction(0)
        )
    return settle(result)


def same_weight(
    kinds: Sequence[Type], terms: Terms, *, function: str, extra: Sequence[int] = (), zero: bool = True
) -> Type:
    """Sums, maxima, minima, choices: operands of one weight. Single scale channels may be pooled one by one."""
    a, b = kinds[0], kinds[-1]
    weights = {k.weight for k in kinds}
    gains = [s.gain for k in kinds for s in k.slices]
    if len(weights) > 1 or any(any(x - gains[0][0] for x in g) for g in gains):
        if len(weights) == 1:
            codes = [[terms.number("gain", s.term, terms.snap(s.gain)) for s in k.slices] for k in kinds]
        elif any(k.anchored for k in kinds):
            raise NoRule("single scale channels of different weights are combined")
        else:
            low, high = min(weights), max(weights)
            raise Refuted(
                "weight",
                f"{function} of features of weights {low} and {high}: scaled by S they change by different factors",
                {"kind": "weights", "weights": [str(low), str(high)]},
            )
    else:
        codes = [[s.term for s in k.slices] for k in kinds]
    result = combine(kinds, terms, function=function, weight=a.weight, codes=codes, zero=zero, extra=extra)
    if gains and any(gains[0]) and len(kinds) > 1 and len(weights) == 1 and all(g == gains[0] for g in gains):
        result = replace(result, slices=tuple(replace(s, gain=gains[0]) for s in result.slices))
    if len(kinds) == 2 and a.at != b.at and not extra:
        result = _even_centre(a, b, result, terms, function)
    if len(kinds) == 2 and function in ("add", "max", "min") and not extra:
        result = _pool_pair(a, b, result, terms, function)
    return settle(result)


def _even_centre(a: Type, b: Type, result: Type, terms: Terms, function: str) -> Type:
    """f(h/2) + f(-h/2): the sum of the two middle samples of an even size."""
    one, other = set(a.at) - set(b.at), set(b.at) - set(a.at)
    if function != "add" or len(one) != 1 or len(other) != 1 or a.slices != b.slices:
        return result
    ((axis, x),), ((second, y),) = one, other
    if axis != second or x != -y or abs(x) != Fraction(1, 2) or any(k == axis for k, _ in set(a.at) & set(b.at)):
        return result
    rest = tuple((k, v) for k, v in result.at if k != axis)
    slices = tuple(replace(s, term=terms.number("even centre", s.term)) for s in result.slices)
    return replace(result, at=rest, slices=slices)


def _pool_pair(a: Type, b: Type, result: Type, terms: Terms, function: str) -> Type:
    gap = minus(a.slices[0].gain, b.slices[0].gain)
    if a.n_scales > 1 or b.n_scales > 1 or a.at != b.at or not close(gap, (0.0,) * len(gap)):
        return result
    if any(k.free and not (k.pool and k.pool[0] == function) for k in (a, b)):
        return result
    parts: list[tuple[int, tuple[Any, ...]]] = []
    for k in (a, b):
        if k.pool and k.pool[0] == function:
            parts.append((k.pool[1], k.pool[2]))
        elif k.slices[0].anchor is not None:
            parts.append((k.slices[0].term, (k.slices[0].anchor,)))
    if len(parts) < 2 or parts[0][0] != parts[1][0]:
        return result
    anchors = tuple(sorted(parts[0][1] + parts[1][1]))
    candidate = replace(result, slices=tuple(Slice(parts[0][0], s) for s in anchors))
    try:
        check_family(candidate)
        free = True
    except Refuted:
        free = False
    inner = common_window([k.pool[3] if k.pool else k.window for k in (a, b)])
    own = sorted(x[0] for x in anchors)
    window = common_window([inner, (own[0], own[-1])]) if free else result.window
    return replace(result, pool=(function, parts[0][0], anchors, inner), free=free, window=window)


def product(a: Type, b: Type, terms: Terms, *, function: str) -> Type:
    """F G and F / G: weights add, or are subtracted."""
    sign = -1 if function == "div" else 1
    codes = [[terms.number("gain", s.term, terms.snap(s.gain)) for s in k.slices] for k in (a, b)]
    result = combine([a, b], terms, function=function, weight=a.weight + sign * b.weight, codes=codes, zero=False)
    return settle(replace(result, black=function == "mul" and any(dark(k, result.axes) for k in (a, b))))


def scale_factor(kind: Type, terms: Terms, *, logs: Sequence[tuple[float, ...]], code: int) -> Type:
    """Multiplication by one positive constant per scale channel."""
    _no_index([kind])
    n = max(kind.n_scales, len(logs))
    slices = []
    for i in range(n):
        s = kind.slices[i if kind.n_scales > 1 else 0]
        slices.append(replace(s, gain=plus(s.gain, logs[i if len(logs) > 1 else 0])))
    return settle(replace(kind, slices=tuple(slices), pool=None))


def jet(
    kind: Type,
    terms: Terms,
    *,
    logs: Sequence[tuple[tuple[float, ...], ...]],
    orders: Sequence[int],
    power: Fraction,
    code: int,
    bias: bool,
    border: str,
    canvas: str,
    ndim: int,
    out_channels: int,
    in_code: Sequence[int] | None = None,
) -> Type:
    """Scale-normalised derivatives at sigma, mixed by weights: w + |a| (norm_power - 1); `logs` [S][sigma channel]."""
    _no_index([kind])
    axes = list(kind.axes)
    rearranged = next((a for axis in axes[-ndim:] for a in axis if a.kind == "P"), None)
    if rearranged is not None:
        raise Refuted(
            "rearranged",
            "a jet layer on rearranged samples: their places are no grid, which is no image scaled about its centre",
            {"kind": "samples", "places": [str(p) for p in rearranged.places]},
        )
    if len(axes) < ndim + 2 or any(len(a) != 1 or a[0].kind != "X" for a in axes[-ndim:]):
        raise NoRule("a jet layer over axes that are not the image's")
    channels = axes[-ndim - 1]
    spatial = [a[0] for a in axes[-ndim:]]
    if len({abs(a.spacing) for a in spatial}) > 1:
        raise NoRule("a jet layer on samples of different spacing per axis")
    if any(a.kind in "SXPW" for a in channels):
        raise NoRule("a jet layer whose channel axis holds scale channels")
    n = len(logs)
    scale_axis = axes[0]
    if n > 1:
        copies = [a for a in scale_axis if a.kind == "R"]
        if not any(a.kind == "S" for a in scale_axis):
            if len(scale_axis) == 1 and copies:
                axes[0] = (Atom("S", n),)
            elif kind.n_scales == 1 and len({tuple(map(tuple, x)) for x in logs}) == 1:
                logs = logs[:1]
            else:
                raise NoRule("sigma varies along an axis that is not the scale axis")
    n = max(len(logs), kind.n_scales)
    powers = {Fraction(order) * (power - 1) for order in orders}
    if len(powers) > 1:
        raise Refuted(
            "mixed-orders",
            f"derivatives of orders {min(orders)} to {max(orders)} with norm_power {power} are added: they change by "
            f"S^{min(powers)} and S^{max(powers)}",
            {"kind": "weights", "weights": [str(min(powers)), str(max(powers))]},
        )
    weight = kind.weight + next(iter(powers))
    if border == "zero" and canvas == "fixed" and not kind.black:
        raise Refuted(
            "zero-border",
            "a zero border next to features that are not 0 on a black background: the canvas' edge does not scale",
            {"kind": "canvas", "background": "?"},
        )
    shift = math.log(abs(spatial[0].spacing)) if spatial else 0.0
    slices = []
    codes: Sequence[int] = [s.term for s in kind.slices]
    if bias:
        mid = replace(kind, weight=weight)
        if weight:
            raise Refuted(
                "bias",
                f"an offset is added to features of weight {weight}: the offset does not change by S^{weight}",
                {"kind": "weights", "weights": [str(weight), "0"]},
            )
        codes = fold(mid, terms, "an offset")[1]
    for i in range(n):
        s = kind.slices[i if kind.n_scales > 1 else 0]
        own = logs[i if len(logs) > 1 else 0]
        base = own[0]
        rel = tuple(terms.snap(minus(x, base)) for x in own)
        base = tuple(x + shift for x in base)
        anchor = s.anchor if s.anchor is not None else base
        term = terms.number(
            "jet",
            codes[i if len(codes) > 1 else 0],
            terms.snap(minus(base, anchor)),
            rel,
            code,
            tuple(a.axis for a in spatial),
        )
        slices.append(Slice(term, anchor, (0.0,) if bias else s.gain))
    axes[-ndim - 1] = (Atom("C", out_channels),) if out_channels > 1 else ()
    result = replace(
        kind,
        axes=tuple(axes),
        weight=weight,
        slices=tuple(slices),
        black=not bias and (kind.black or (0 not in orders and border != "zero" and kind.flat)),
        pool=None,
        free=False,
    )
    if kind.free:
        raise NoRule("a jet layer after pooling over scale channels")
    return settle(result)


def mix(kind: Type, terms: Terms, *, axis: int, size_out: int, code: Sequence[int], bias: bool, node: str) -> Type:
    """A linear map of the channels at every point, with an offset for weight 0 only."""
    _no_index([kind])
    atoms = kind.axes[axis]
    if any(a.kind in "XPW" for a in atoms):
        raise NoRule("a linear map over space")
    scale = any(a.kind == "S" for a in atoms)
    if bias:
        if kind.weight:
            raise Refuted(
                "bias",
                f"an offset is added to features of weight {kind.weight}",
                {"kind": "weights", "weights": [str(kind.weight), "0"]},
            )
        codes = fold(kind, terms, "an offset")[1]
    else:
        codes = tuple(s.term for s in kind.slices)
    axes = list(kind.axes)
    axes[axis] = (Atom("C", size_out),) if size_out > 1 else ()
    if scale:
        single = terms.number("dense over scales", codes, tuple(code), kind.n_scales)
        first = kind.slices[0]
        return replace(
            kind,
            axes=tuple(axes),
            slices=(Slice(single, first.anchor, (0.0,) if bias else first.gain),),
            lost=kind.lost or node,
            pool=None,
            black=kind.black and not bias,
        )
    slices = tuple(
        Slice(terms.number("mix", c, code[i if len(code) > 1 else 0]), s.anchor, (0.0,) if bias else s.gain)
        for i, (c, s) in enumerate(zip(codes, kind.slices, strict=True))
    )
    return settle(replace(kind, axes=tuple(axes), slices=slices, pool=None, black=kind.black and not bias))


def pool_scales(kind: Type, terms: Terms, *, function: str, axis: int, keep: bool, homogeneous: bool) -> Type:
    """A symmetric function of all scale channels: invariant up to the channels that enter and leave the window."""
    codes = [s.term for s in kind.slices] if homogeneous else list(fold(kind, terms, function)[1])
    first = kind.slices[0]
    step = minus(kind.slices[1].anchor, first.anchor) if first.anchor and kind.slices[1].anchor else None
    term = terms.number("pool", function, codes[0], kind.n_scales, terms.snap(step) if step else None)
    axes = list(kind.axes)
    axes[axis] = tuple(a for a in axes[axis] if a.kind != "S")
    if not keep and not axes[axis]:
        del axes[axis]
    gain = first.gain if homogeneous else (0.0,)
    return replace(
        kind,
        axes=tuple(axes),
        slices=(Slice(term, first.anchor, gain),),
        free=first.anchor is not None,
        weight=kind.weight if homogeneous else Fraction(0),
        pool=None,
        index=function == "argmax",
        window=_pooled_window(kind),
    )


def _pooled_window(kind: Type) -> tuple[float, float] | None:
    own = [s.anchor[0] for s in kind.slices if s.anchor is not None]
    return common_window([kind.window, (min(own), max(own))]) if own else kind.window


def over_space(
    kind: Type, terms: Terms, *, function: str, axis: int, keep: bool, canvas: str, full: bool, ndim: int
) -> Type:
    """Maximum, minimum, mean or sum over a spatial axis that spans the canvas."""
    atom = next(a for a in kind.axes[axis] if a.kind == "X")
    weight = kind.weight
    if function in ("mean", "sum"):
        if canvas == "fixed" and not kind.black:
            raise Refuted(
                "canvas-mean",
                f"a {function} over a canvas of fixed size of features that are not 0 on a black background: object "
                "and background change their shares, no factor S^w describes that",
                {"kind": "canvas", "background": "?"},
            )
        if canvas == "fixed" or function == "sum":
            weight += 1
    elif function not in ("max", "min"):
        raise NoRule(f"{function} over space")
    if not full:
        raise NoRule(f"{function} over part of the canvas")
    axes = list(kind.axes)
    axes[axis] = tuple(a for a in axes[axis] if a is not atom)
    if not keep and not axes[axis]:
        del axes[axis]
    slices = tuple(replace(s, term=terms.number("space", function, atom.axis, s.term)) for s in kind.slices)
    return replace(kind, axes=tuple(axes), weight=weight, slices=slices, pool=None)


def select_space(kind: Type, terms: Terms, *, axis: int, index: int, keep: bool) -> Type:
    """The value at one sample of a spatial axis."""
    (atom,) = kind.axes[axis]
    position = atom.positions[index]
    at = {*kind.at, *([(atom.axis, position)] if position else [])}
    axes = list(kind.axes)
    if keep:
        axes[axis] = ()
    else:
        del axes[axis]
    slices = tuple(replace(s, term=terms.number("read", atom.axis, s.term)) for s in kind.slices)
    return replace(kind, axes=tuple(axes), at=tuple(sorted(at)), slices=slices)


def regrid(kind: Type, *, axis: int, start: int, step: int, count: int) -> Type:
    """Samples start, start + step, ... of a spatial axis: crop, stride, flip, padding, shift."""
    (atom,) = kind.axes[axis]
    axes = list(kind.axes)
    axes[axis] = (replace(atom, size=count, offset=atom.offset + atom.spacing * start, spacing=atom.spacing * step),)
    return replace(kind, axes=tuple(axes))


def pick_scales(kind: Type, *, axis: int, indices: Sequence[int], keep: bool, node: str) -> Type:
    """Some scale channels; a single one has a fixed sigma."""
    axes = list(kind.axes)
    slices = tuple(kind.slices[i] for i in indices)
    atoms = tuple(Atom("S", len(indices)) if a.kind == "S" else a for a in axes[axis])
    if len(indices) == 1:
        atoms = tuple(a for a in atoms if a.kind != "S")
    if not keep and not atoms:
        del axes[axis]
    else:
        axes[axis] = atoms
    lost = (kind.lost or node) if len(indices) == 1 else kind.lost
    return settle(replace(kind, axes=tuple(axes), slices=slices, lost=lost, pool=None))


def join(kinds: Sequence[Type], terms: Terms, *, axis: int, new: bool) -> Type:
    """Stack or concatenation: of scale channels of one term along a scale axis, of features along the channels."""
    rank = len(kinds[0].axes)
    if any(len(k.axes) != rank for k in kinds):
        raise NoRule("values of different ranks are joined")
    rest: list[Axis] = []
    for i in range(rank):
        if not new and i == axis:
            rest.append(())
            continue
        merged = kinds[0].axes[i]
        for k in kinds[1:]:
            merged = _merge_axis(merged, k.axes[i])
        rest.append(merged)
    single = all(k.n_scales == 1 for k in kinds)
    firsts = [k.slices[0] for k in kinds]
    along = [() if new else k.axes[axis] for k in kinds]
    if any(a.kind in "XPW" for one in along for a in one):
        raise NoRule("values are joined along space")
    common: dict[str, Any] = {
        "at": _reads(kinds),
        "black": all(dark(k, rest) for k in kinds),
        "flat": all(even(k, rest) for k in kinds),
        "window": common_window([k.window for k in kinds]),
        "lost": next((k.lost for k in kinds if k.lost), None),
        "pool": None,
    }
    weights = {k.weight for k in kinds}
    anchored = single and all(k.anchored for k in kinds) and len(kinds) > 1
    if anchored and len({tuple(s.anchor or ()) for s in firsts}) > 1 and len({s.term for s in firsts}) == 1:
        if len(set(along)) > 1 or len(weights) > 1:
            raise NoRule("scale channels of different layouts are joined")
        axes = list(rest)
        inner = (Atom("S", len(kinds)), *along[0])
        axes = [*axes[:axis], inner, *axes[axis:]] if new else [*axes[:axis], inner, *axes[axis + 1 :]]
        return settle(replace(kinds[0], axes=tuple(axes), slices=tuple(firsts), **common))
    if len(weights) > 1:
        raise NoRule("features of different weights are joined")
    if any(any(a.kind == "S" for a in one) for one in along):
        if not all(len(one) == 1 and one[0].kind == "S" for one in along):
            raise NoRule("scale channels and features are joined")
        slices = tuple(s for k in kinds for s in k.slices)
        axes = [*rest[:axis], (Atom("S", len(slices)),), *rest[axis + 1 :]]
        return settle(replace(kinds[0], axes=tuple(axes), slices=slices, **common))
    n = sum(size(one) for one in along) if not new else len(kinds)
    kind_letter = "B" if all(a.kind == "B" for one in along for a in one) and any(along) else "C"
    axes = list(rest)
    inner = (Atom(kind_letter, n),) if n > 1 else ()
    axes = [*axes[:axis], inner, *axes[axis:]] if new else [*axes[:axis], inner, *axes[axis + 1 :]]
    codes = [[terms.number("gain", s.term, terms.snap(s.gain)) for s in k.slices] for k in kinds]
    flat = [replace(k, axes=()) for k in kinds]
    result = combine(flat, terms, function=f"join {axis} {new}", weight=kinds[0].weight, codes=codes, zero=True)
    return settle(replace(result, axes=tuple(axes), black=common["black"], flat=common["flat"]))
