"""A figure: named traces on two axes. It says what is shown; `pictures` and Plotly draw it.

Colours are names of CSS variables (`c0` … `c6`, or others that the page defines), so that a figure
follows the light or dark theme of the page it is on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .axes import Axis, Scale

DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Trace:
    """Numbers or names against numbers or names; no number where there is a gap."""

    name: str
    x: Sequence[Any]
    y: Sequence[Any]
    colour: str
    kind: str = "lines"  # or markers, lines+markers, bars (lying), columns
    dash: str = "solid"
    width: float = 2.0
    steps: bool = False
    opacity: float = 1.0


@dataclass(frozen=True)
class Mark:
    """A moment: a line across the figure, with a word at its top."""

    at: float
    word: str
    colour: str


@dataclass(frozen=True)
class Figure:
    """Traces on two axes."""

    traces: tuple[Trace, ...]
    x: Axis
    y: Axis
    marks: tuple[Mark, ...] = ()

    def scales(self) -> tuple[Scale, Scale]:
        """Both axes, laid out for what the traces hold."""
        xs = [v for trace in self.traces for v in _numbers(trace.x)]
        ys = [v for trace in self.traces for v in _numbers(trace.y)]
        return self.x.scale(xs), self.y.scale(ys)

    def as_plotly(self) -> dict[str, Any]:
        """Data and layout for `Plotly.react`; colours are `var(--name)`."""
        x, y = self.scales()
        return {
            "data": [_plotly_trace(trace) for trace in self.traces],
            "layout": {
                "xaxis": _plotly_axis(x), "yaxis": _plotly_axis(y),
                "showlegend": len(self.traces) > 1,
                "shapes": [
                    {"type": "line", "x0": mark.at, "x1": mark.at, "yref": "paper", "y0": 0,
                     "y1": 1, "line": {"color": _var(mark.colour), "width": 1, "dash": "dot"}}
                    for mark in self.marks
                ],
                "annotations": [
                    {"x": mark.at, "yref": "paper", "y": 1, "text": mark.word, "showarrow": False,
                     "yanchor": "top", "xanchor": "left", "font": {"color": _var(mark.colour)}}
                    for mark in self.marks if mark.word
                ],
            },
        }  # fmt: skip


def _numbers(values: Sequence[Any]) -> Iterator[float]:
    return (float(v) for v in values if v is not None and not isinstance(v, str))


def _var(colour: str) -> str:
    return f"var(--{colour})"


def _plotly_trace(trace: Trace) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": trace.name, "x": _short(trace.x), "y": _short(trace.y), "opacity": trace.opacity,
        "marker": {"color": _var(trace.colour)},
    }  # fmt: skip
    if trace.kind in ("bars", "columns"):
        return told | {"type": "bar", "orientation": "h" if trace.kind == "bars" else "v"}
    line = {"color": _var(trace.colour), "dash": trace.dash, "width": trace.width,
            "shape": "hv" if trace.steps else "linear"}  # fmt: skip
    return told | {"type": "scatter", "mode": trace.kind, "line": line}


def _plotly_axis(scale: Scale) -> dict[str, Any]:
    told: dict[str, Any] = {"title": {"text": scale.axis.title}, "automargin": True}
    if scale.axis.names:
        names = {"categoryorder": "array", "categoryarray": scale.axis.names}
        return told | {"type": "category"} | names
    told |= {"range": [scale.low, scale.high]}
    # Ticks of their own only where a reader who comes nearer needs no others.
    if scale.axis.ticks:
        told |= {"tickvals": [v for v, _ in scale.ticks], "ticktext": [w for _, w in scale.ticks]}
    return told | ({"type": "log"} if scale.axis.log else {})


def _short(values: Sequence[Any]) -> list[Any]:
    return [_rounded(v) if isinstance(v, float) else v for v in values]


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
