"""What is known about one value of the network: its transformation type.

A value is F_c(x_p; sigma_i): features c at the pixels p of scale channel i. Its type says which axis is which, the
weight w of F'(S x; S sigma) = S^w F(x; sigma) for f'(x) = f(x / S), the grid map of every spatial axis, and for every
scale channel a hash-consed term: what was computed, up to a common factor of all its sigmas, and that factor's
logarithm (the anchor). Scale channels of one network have one term, and anchors in arithmetic progression.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

TOLERANCE = 1e-6
"""Of logarithms of sigmas: above float32's rounding of a few products, far below the 0.1 % that must be seen."""

Logs = tuple[float, ...]
"""A logarithm at the network's own weights and at drawn ones: what must hold for all weights holds in every entry."""


class Refuted(Exception):
    """A rule that this value breaks; `witness` can be executed again by `check`."""

    def __init__(self, rule: str, reason: str, witness: dict[str, Any], at: str | None = None) -> None:
        super().__init__(reason)
        self.rule, self.reason, self.witness, self.at = rule, reason, witness, at


class NoRule(Exception):
    """Nothing is known about this value."""


@dataclass(frozen=True)
class Atom:
    """A factor of a tensor axis.

    Args:
        kind: "S" scale channels, "B" batch, "C" feature channels, "X" space, "R" copies of one value, "P" samples of
            space in another order or at other places, "W" samples of a window around every point of an "X".
        size: Number of entries.
        axis: Of "X": which spatial axis of the image.
        spacing: Of "X": distance of neighbouring samples, in pixels of the image; negative after a flip.
        offset: Of "X": position of sample 0 from the centre of the image.
        places: Of "P" and "W": the positions, absolute or in the window.
    """

    kind: str
    size: int
    axis: int = -1
    spacing: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    places: tuple[Fraction, ...] = ()

    @property
    def positions(self) -> tuple[Fraction, ...]:
        """Of "X", "P" and "W"."""
        return self.places or tuple(self.offset + self.spacing * i for i in range(self.size))

    def to_json(self) -> list[Any]:
        """[kind, size], ["X", size, axis, spacing, offset] or ["P" or "W", size, axis, places]."""
        if self.kind in "PW":
            return [self.kind, self.size, self.axis, [str(p) for p in self.places]]
        if self.kind != "X":
            return [self.kind, self.size]
        return ["X", self.size, self.axis, str(self.spacing), str(self.offset)]


Axis = tuple[Atom, ...]


@dataclass(frozen=True)
class Slice:
    """One scale channel: term, anchor (None if no sigma entered), logarithm of a constant factor."""

    term: int
    anchor: Logs | None = None
    gain: Logs = (0.0,)


@dataclass(frozen=True)
class Type:
    """Transformation type of a value.

    Args:
        axes: Atoms of every tensor axis, slowest first; an axis of size 1 has none.
        weight: w.
        slices: One per scale channel; one if there is no scale axis.
        at: (spatial axis, position) of every point read away from the centre.
        black: Whether the value is 0 where the image is 0 far around.
        free: The scale axis was pooled away over a whole geometric grid.
        pool: (kind, term, anchors, their own window) of single scale channels merged one by one so far.
        lost: Node at which one scale channel was singled out.
        index: The value numbers a scale channel.
        flat: Whether the value is the same all over the background; what is black is flat.
        window: Logarithms of the finest and the coarsest sigma that all pooled scale axes in it share.
    """

    axes: tuple[Axis, ...]
    weight: Fraction
    slices: tuple[Slice, ...]
    at: tuple[tuple[int, Fraction], ...] = ()
    black: bool = True
    free: bool = False
    pool: tuple[str, int, tuple[Logs, ...], tuple[float, float] | None] | None = None
    lost: str | None = None
    index: bool = False
    window: tuple[float, float] | None = None
    flat: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Tensor shape."""
        return tuple(size(axis) for axis in self.axes)

    @property
    def n_scales(self) -> int:
        """Number of scale channels on the scale axis, 1 without one."""
        return len(self.slices)

    @property
    def anchored(self) -> bool:
        """Whether one fixed sigma is left in it: no scale axis, and not pooled over one."""
        return self.n_scales == 1 and self.slices[0].anchor is not None and not self.free

    def atoms(self, kind: str) -> list[Atom]:
        """All atoms of a kind, in order."""
        return [atom for axis in self.axes for atom in axis if atom.kind == kind]

    def to_json(self) -> dict[str, Any]:
        """JSON form; anchors are those at the network's own weights."""
        return {
            "axes": [[atom.to_json() for atom in axis] for axis in self.axes],
            "weight": str(self.weight),
            "anchors": [None if s.anchor is None else s.anchor[0] for s in self.slices],
            "at": [[axis, str(position)] for axis, position in self.at],
            "black": self.black,
            "free": self.free,
            "index": self.index,
            "window": None if self.window is None else list(self.window),
            "flat": self.flat,
        }


def invented(result: Type, operand: Type, canvas: Sequence[int]) -> str:
    """Whether a result has samples beyond those of its operand: "" for none.

    "beyond" a canvas that the operand spans; "all" if it does not span it but has as many pixels (a roll, not yet
    rolled back); else "cut": what is there was never the image's. What stands beyond a whole canvas is link 2's.
    """
    answer = ""
    for axis, n in enumerate(canvas):
        new, old = _extent(result, axis), _extent(operand, axis)
        if new is None or old is None or (old[0] <= new[0] and new[1] <= old[1]):
            continue
        if old[0] - old[2] < -Fraction(n - 1, 2) and Fraction(n - 1, 2) < old[1] + old[2]:
            answer = answer or "beyond"
        elif answer != "cut":
            answer = "all" if old[2] == 1 and old[1] - old[0] == n - 1 else "cut"
    return answer


def _extent(kind: Type, axis: int) -> tuple[Fraction, Fraction, Fraction] | None:
    """First and last position along a spatial axis, windows included, and the distance of samples."""
    found = [a for one in kind.axes for a in one if a.axis == axis and a.kind in "XPW"]
    low, high = (sum((end(a.positions) for a in found), Fraction(0)) for end in (min, max))
    return (low, high, max(abs(a.spacing) for a in found)) if found else None


def size(axis: Axis) -> int:
    """Number of entries of a tensor axis."""
    total = 1
    for atom in axis:
        total *= atom.size
    return total


class Terms:
    """Hash-consing: equal computations get equal numbers; logarithms are equal within TOLERANCE."""

    def __init__(self) -> None:
        self._terms: dict[Hashable, int] = {}
        self._logs: dict[int, list[Logs]] = {}
        self._arrays: dict[Any, list[Any]] = {}

    def number(self, *key: Hashable) -> int:
        """The number of a term."""
        return self._terms.setdefault(key, len(self._terms))

    def snap(self, logs: Logs) -> Logs:
        """The representative of all logarithms within TOLERANCE."""
        bucket = round(logs[0] / TOLERANCE)
        for near in (bucket - 1, bucket, bucket + 1):
            for known in self._logs.get(near, ()):
                if close(known, logs):
                    return known
        self._logs.setdefault(bucket, []).append(logs)
        return logs


def close(a: Sequence[float], b: Sequence[float]) -> bool:
    """Equal within TOLERANCE in every entry."""
    return len(a) == len(b) and all(abs(x - y) <= TOLERANCE for x, y in zip(a, b, strict=True))


def minus(a: Logs, b: Logs) -> Logs:
    """Entrywise a - b; a single entry stands for all."""
    n = max(len(a), len(b))
    return tuple(x - y for x, y in zip(a * n if len(a) == 1 else a, b * n if len(b) == 1 else b, strict=True))


def plus(a: Logs, b: Logs, factor: float = 1.0) -> Logs:
    """Entrywise a + factor * b."""
    return minus(a, tuple(-factor * y for y in b))


def common_window(windows: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    """What the windows of pooled scale channels share; upside down if they share nothing.

    A function of pooled values is invariant, up to the channels that enter and leave, for images whose responses lie
    in all the windows; there must be a step of the scale grid left at an output, or the claim is about no image.
    """
    found = [w for w in windows if w is not None]
    return (max(w[0] for w in found), min(w[1] for w in found)) if found else None
