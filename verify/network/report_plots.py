"""Small plots as SVG text, both axes logarithmic, without a plotting library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 80, 12, 12, 46
COLOURS = ("#1558b0", "#d1590b", "#5d7a3a", "#8a3ab0", "#0a7c86", "#a3195b")


@dataclass(frozen=True)
class Series:
    """Points (x, y) of one colour.

    Attributes:
        points: Positive numbers; others are left out.
        colour: Index of a colour.
        dashed: A line without markers, for bounds.
    """

    points: Sequence[tuple[float, float]]
    colour: int
    dashed: bool = False


def log_plot(series: Sequence[Series], x_label: str, y_label: str, x_ticks: Sequence[float] | None = None) -> str:
    """Lines over logarithmic axes; empty if there is nothing positive to show. Ticks default to powers."""
    kept = [Series([p for p in s.points if min(p) > 0 and all(map(math.isfinite, p))], s.colour, s.dashed)
            for s in series]  # fmt: skip
    every = [p for s in kept for p in s.points]
    if not every:
        return ""
    (x0, x1), (y0, y1) = (_range([p[axis] for p in every]) for axis in (0, 1))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        u = (math.log(point[0]) - math.log(x0)) / (math.log(x1) - math.log(x0))
        v = (math.log(point[1]) - math.log(y0)) / (math.log(y1) - math.log(y0))
        return LEFT + u * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - v * (HEIGHT - TOP - BOTTOM)

    parts = [
        f"<rect x='{LEFT}' y='{TOP}' width='{WIDTH - LEFT - RIGHT}' height='{HEIGHT - TOP - BOTTOM}' class='frame'/>"
    ]
    for x in x_ticks or _ticks(x0, x1, dense=True):
        px, _ = place((x, y0))
        parts.append(f"<path d='M{px:.1f} {TOP}V{HEIGHT - BOTTOM}' class='grid'/>")
        parts.append(f"<text x='{px:.1f}' y='{HEIGHT - BOTTOM + 15}' text-anchor='middle'>{x:g}</text>")
    for y in _ticks(y0, y1):
        _, py = place((x0, y))
        parts.append(f"<path d='M{LEFT} {py:.1f}H{WIDTH - RIGHT}' class='grid'/>")
        parts.append(f"<text x='{LEFT - 5}' y='{py + 4:.1f}' text-anchor='end'>{y:.0e}</text>")
    for s in kept:
        colour = COLOURS[s.colour % len(COLOURS)]
        places = [place(p) for p in sorted(s.points)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dash = " stroke-dasharray='5 4'" if s.dashed else ""
        parts.append(f"<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='1.6'{dash}/>")
        if not s.dashed:
            parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour}'/>" for x, y in places]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 8}' text-anchor='middle'>{escape(x_label)}</text>"
    )
    parts.append(f"<text transform='translate(12 {middle}) rotate(-90)' text-anchor='middle'>{escape(y_label)}</text>")
    return f"<svg class='plot' viewBox='0 0 {WIDTH} {HEIGHT}' xmlns='http://www.w3.org/2000/svg'>{''.join(parts)}</svg>"


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis, with some air; a factor of 2 at least."""
    low, high = min(values), max(values)
    air = max((high / low) ** 0.06, math.sqrt(2) if high < 2 * low else 1.0)
    return low / air, high * air


def _ticks(low: float, high: float, dense: bool = False) -> list[float]:
    """Powers of ten in the range; of two where it is short, or asked for."""
    decades = [10.0**k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    inside = [t for t in decades if low <= t <= high]
    if dense or len(inside) < 2:
        halves = [2.0**k for k in range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)]
        return [t for t in halves if low <= t <= high]
    return inside[:: max(1, len(inside) // 6)]
