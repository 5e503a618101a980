"""A figure as a still picture: HTML and SVG that need no script, on paper or on a screen.

The drawing is stretched to the width that there is, while its lines and words are not: lines do not
scale (`non-scaling-stroke`; a dot is a line without length), words are HTML placed in percent. So
one picture suits a desk and a phone, and a page of them is there as soon as it is read.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

from .axes import Axis, Scale
from .figures import Figure, Mark, Trace

_DASHES = {"solid": "", "dash": "7 5", "dot": "2 4", "dashdot": "7 4 2 4"}
_SIZE = 1000


def picture(figure: Figure, title: str) -> str:
    """The picture, to be put where it is to be seen; `title` says it to those who do not see."""
    x, y = figure.scales()
    drawn = "".join([_grid(x, y), *_marks(figure.marks, x), *_traces(figure, x, y)])
    wide = max((len(word) for _, word in y.ticks), default=1)
    return (
        f"<div class=picture role=img aria-label='{html.escape(title)}'>{_keys(figure.traces)}"
        f"<div class=frame style='--wide:{wide * 0.62 + 0.6:.1f}em'>"
        f"<div class=ytitle><span>{html.escape(y.axis.title)}</span></div>"
        f"<div class=ys>{_words(y, 'bottom')}</div>"
        f"<div class=area><svg viewBox='0 0 {_SIZE} {_SIZE}' preserveAspectRatio=none>{drawn}</svg>"
        f"{_mark_words(figure.marks, x)}</div>"
        f"<div class=xs>{_words(x, 'left')}</div>"
        f"<div class=xtitle>{html.escape(x.axis.title)}</div></div></div>"
    )


def _keys(traces: Sequence[Trace]) -> str:
    if len(traces) < 2:
        return ""
    keys = "".join(
        f"<span class=key><svg viewBox='0 0 24 8'>{_sample(trace)}</svg>"
        f"<span>{html.escape(trace.name)}</span></span>"
        for trace in traces
    )
    return f"<div class=keys>{keys}</div>"


def _sample(trace: Trace) -> str:
    line = _stroke("M0 4H24", trace) if "lines" in trace.kind else ""
    if trace.kind in ("bars", "columns"):
        return _filled("M2 0H22V8H2Z", trace)
    return line + (_dots("M12 4h0", trace) if "markers" in trace.kind else "")


def _grid(x: Scale, y: Scale) -> str:
    lines = [f"M{_x(at)} 0V{_SIZE}" for at in _places(x)]
    lines += [f"M0 {_y(at)}H{_SIZE}" for at in _places(y)]
    return f"<path class=rules d='{''.join(lines)}'/>"


def _places(scale: Scale) -> Iterator[float]:
    if scale.axis.names:
        return iter(())
    return (at for value, _ in scale.ticks if (at := scale.at(value)) is not None)


def _words(scale: Scale, side: str) -> str:
    return "".join(
        f"<span style='{side}:{100 * at:.2f}%'>{html.escape(word)}</span>"
        for value, word in scale.ticks
        if (at := scale.at(value)) is not None
    )


def _marks(marks: Sequence[Mark], x: Scale) -> Iterator[str]:
    for mark in marks:
        at = x.at(mark.at)
        if at is not None:
            yield (f"<path class=line d='M{_x(at)} 0V{_SIZE}' stroke-dasharray='2 4' "
                   f"style='stroke:var(--{mark.colour});stroke-width:1'/>")  # fmt: skip


def _mark_words(marks: Sequence[Mark], x: Scale) -> str:
    return "".join(
        f"<b style='left:{100 * at:.2f}%;color:var(--{mark.colour})'>{html.escape(mark.word)}</b>"
        for mark in marks
        if mark.word and (at := x.at(mark.at)) is not None
    )


def _traces(figure: Figure, x: Scale, y: Scale) -> Iterator[str]:
    barred = [trace for trace in figure.traces if trace.kind in ("bars", "columns")]
    for place, trace in enumerate(barred):
        yield _filled(_bars(trace, x, y, place, len(barred)), trace)
    for trace in figure.traces:
        points = [(x.at(_value(a, x.axis)), y.at(_value(b, y.axis)))
                  for a, b in zip(trace.x, trace.y, strict=True)]  # fmt: skip
        if "lines" in trace.kind:
            yield _stroke(_line(points, trace.steps), trace)
        if "markers" in trace.kind:
            dots = (f"M{_x(a)} {_y(b)}h0" for a, b in points if a is not None and b is not None)
            yield _dots("".join(dots), trace)


def _value(value: Any, axis: Axis) -> float:
    if axis.names:
        return float(axis.names.index(value))
    return float("nan") if value is None else float(value)


def _line(points: Sequence[tuple[float | None, float | None]], steps: bool) -> str:
    """A path through the points, with a gap where there is none."""
    told, drawing = [], False
    for a, b in points:
        if a is None or b is None:
            drawing = False
        elif drawing:
            told.append(f"H{_x(a)}V{_y(b)}" if steps else f"L{_x(a)} {_y(b)}")
        else:
            told.append(f"M{_x(a)} {_y(b)}h0")
            drawing = True
    return "".join(told)


def _bars(trace: Trace, x: Scale, y: Scale, place: int, of: int) -> str:
    """The bars of a trace; those of several stand beside each other."""
    lying = trace.kind == "bars"
    names, values = (trace.y, trace.x) if lying else (trace.x, trace.y)
    along, across = (x, y) if lying else (y, x)
    thick = 0.8 / of / len(across.axis.names)
    base = along.at(0.0) or 0.0
    told = []
    for name, value in zip(names, values, strict=True):
        end, middle = along.at(float(value)), across.at(_value(name, across.axis))
        if end is None or middle is None:
            continue
        first = middle + thick * (place - of / 2)
        a, b, c, d = (base, end, first, first + thick) if lying else (
            first, first + thick, base, end)  # fmt: skip
        told.append(f"M{_x(a)} {_y(c)}H{_x(b)}V{_y(d)}H{_x(a)}Z")
    return "".join(told)


def _stroke(path: str, trace: Trace) -> str:
    dashes = f" stroke-dasharray='{_DASHES[trace.dash]}'" if _DASHES[trace.dash] else ""
    style = f"stroke:var(--{trace.colour});stroke-width:{trace.width}"
    return f"<path class='trace line' d='{path}'{dashes} style='{style}'/>"


def _dots(path: str, trace: Trace) -> str:
    style = f"stroke:var(--{trace.colour});stroke-width:6;opacity:{trace.opacity}"
    return f"<path class='trace line' stroke-linecap=round d='{path}' style='{style}'/>"


def _filled(path: str, trace: Trace) -> str:
    return f"<path class=trace d='{path}' style='fill:var(--{trace.colour})'/>"


def _x(at: float) -> str:
    return f"{at * _SIZE:.5g}"


def _y(at: float) -> str:
    return f"{(1 - at) * _SIZE:.5g}"


CSS = """
:root{--c0:#0072B2;--c1:#D55E00;--c2:#009E73;--c3:#CC79A7;--c4:#E69F00;--c5:#56B4E9;--c6:#999999}
@media(prefers-color-scheme:dark){:root{--c0:#4DA3E0}}
.plot{height:300px;overflow:hidden}
.picture{height:100%;display:flex;flex-direction:column;font-size:12px;line-height:16px;
break-inside:avoid}
.keys{display:flex;flex-wrap:wrap;gap:0 14px;padding-bottom:4px}
.key{display:inline-flex;align-items:center;gap:5px}.key svg{width:24px;height:8px;flex:none}
.frame{flex:1;min-height:0;display:grid;
grid-template:minmax(0,1fr) 20px 18px/18px min(var(--wide),42%)
minmax(0,1fr);padding:8px 18px 0 0}
.ytitle{position:relative}.ytitle span{position:absolute;left:0;top:50%;white-space:nowrap;
transform:translateY(-50%) rotate(180deg);writing-mode:vertical-rl}
.ys,.xs,.area{position:relative}.xs{grid-column:3}.xtitle{grid-column:3;text-align:center}
.xtitle,.ytitle,.ys,.xs{color:var(--soft)}
.ys span{position:absolute;right:6px;transform:translateY(50%);white-space:nowrap;max-width:100%;
overflow:hidden;text-overflow:ellipsis}
.xs span{position:absolute;top:3px;transform:translateX(-50%);white-space:nowrap}
.area svg{position:absolute;width:100%;height:100%;overflow:visible}
.area b{position:absolute;top:0;padding-left:2px;font-size:11px;font-weight:400}
.rules,.line{vector-effect:non-scaling-stroke;fill:none}
.rules{stroke:var(--line);stroke-width:1}
#closer{position:fixed;right:14px;bottom:14px;padding:7px 12px;border:1px solid var(--line);
border-radius:8px;background:var(--card);color:var(--ink);font:inherit;cursor:pointer}
@media print{#closer{display:none}}
"""
