"""Pictures of a shape: one HTML file that works offline, on a desk and on a phone.

`figure(...)` makes a plain plotly figure (a dictionary); `page(title, cards)` embeds plotly.js once
and draws the figures, one after the other so that the first is there at once, in the reader's light
or dark theme. The colours are those of Okabe and Ito,
which people with any kind of colour vision can tell apart. Titles say what was found.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .screen import timescale

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
Line = tuple[str, Sequence[float], Sequence[float] | Sequence[str]]
"""Its name, its x and its y; a y of names makes an axis of names."""


@dataclass(frozen=True)
class Card:
    """A picture with the finding as its title and a sentence on how to read it."""

    title: str
    see: str
    figure: dict[str, Any]


def figure(lines: Sequence[Line], x: str, y: str, *, log_x: bool = False, log_y: bool = False,
           kind: str = "lines") -> dict[str, Any]:  # fmt: skip
    """A figure of named lines, `markers` or lying `bars`; `x` and `y`: axis titles with units."""
    data: list[dict[str, Any]] = []
    for place, (name, xs, ys) in enumerate(lines):
        colour = PALETTE[place % len(PALETTE)]
        trace: dict[str, Any] = {"name": name, "x": _round(xs), "y": _round(ys)}
        if kind == "bars":
            trace |= {"type": "bar", "orientation": "h", "marker": {"color": colour}}
        else:
            dash = ("solid", "dash", "dot", "dashdot")[place % 4]
            trace |= {"type": "scatter", "mode": kind, "line": {"color": colour, "dash": dash}}
        data.append(trace)
    xaxis: dict[str, Any] = {"title": {"text": x}, "automargin": True}
    if log_x:
        xaxis |= {"type": "log"}
        if x.endswith(" (s)"):
            xaxis |= _duration_ticks([v for _, xs, _ in lines for v in xs if v > 0])
    yaxis: dict[str, Any] = {"title": {"text": y}, "automargin": True}
    if log_y:
        heights = [float(v) for _, _, ys in lines for v in ys if not isinstance(v, str) and v > 0]
        yaxis |= {"type": "log"}
        if heights and max(heights) > 100 * min(heights):
            yaxis |= {"dtick": 1}  # a tick at each power of ten, and none between
    return {
        "data": data,
        "layout": {"xaxis": xaxis, "yaxis": yaxis, "showlegend": len(data) > 1},
    }


def _duration_ticks(values: Sequence[float]) -> dict[str, Any]:
    """A tick at each power of ten, and between them where those are few, with its own unit."""
    if not values:
        return {}
    low, high = math.log10(min(values)), math.log10(max(values))
    steps = (1,) if high - low > 2 else (1, 2, 5)
    decades = range(math.floor(low), math.ceil(high) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return {"tickvals": ticks, "ticktext": [timescale(tick) for tick in ticks]}


def page(
    title: str, cards: Sequence[Card], facts: Sequence[tuple[str, str]] = (), more: str = ""
) -> str:
    """The whole HTML file; `more` is HTML that follows the pictures."""
    from plotly.offline import get_plotlyjs

    tiles = "".join(
        f"<div class=tile><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>"
        for name, value in facts
    )
    drawn = "".join(
        f"<section><h2>{html.escape(card.title)}</h2><p>{html.escape(card.see)}</p>"
        f"<div class=plot id=plot{i}></div></section>"
        for i, card in enumerate(cards)
    )
    figures = json.dumps([card.figure for card in cards]).replace("<", "\\u003c")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<style>{_CSS}</style><main><h1>{html.escape(title)}</h1>"
        f"<div class=tiles>{tiles}</div><div class=grid>{drawn}</div>{more}</main>"
        f"<script>{get_plotlyjs()}</script><script>const FIGURES={figures};{_JS}</script></html>\n"
    )


def _round(values: Sequence[Any]) -> list[Any]:
    return [float(f"{v:.5g}") if isinstance(v, float) else v for v in values]


_CSS = """
:root{color-scheme:light dark;--bg:#fafafa;--card:#fff;--ink:#1c2024;--soft:#5c656e;--line:#dde1e5}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e9ecef;--soft:#a0a8b0;
--line:#343a40}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,sans-serif}main{max-width:1400px;margin:auto;padding:16px}
h1{font-size:22px;overflow-wrap:anywhere}h2{font-size:16px;margin:0;overflow-wrap:anywhere}
p{margin:2px 0 6px;color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px}
.tile b{display:block;font-size:19px}.tile span{color:var(--soft)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:14px;
margin-top:14px}section{min-width:0}.plot{height:300px;overflow:hidden}
"""
_JS = """
const dark=matchMedia('(prefers-color-scheme: dark)');
let turn=0;
function draw(){const mine=++turn,root=document.documentElement.dataset;
const ink=dark.matches?'#e9ecef':'#1c2024',line=dark.matches?'#343a40':'#dde1e5';
const one=i=>{if(mine!==turn)return;
if(i===FIGURES.length){root.drawn=performance.now();return}
const f=FIGURES[i],l=structuredClone(f.layout);
Object.assign(l,{width:document.getElementById('plot'+i).clientWidth,height:300,
paper_bgcolor:'rgba(0,0,0,0)',plot_bgcolor:'rgba(0,0,0,0)',
font:{color:ink,size:12},margin:{l:50,r:12,t:8,b:44},legend:{orientation:'h',y:1.12}});
for(const a of ['xaxis','yaxis'])Object.assign(l[a],{gridcolor:line,zerolinecolor:line});
let data=JSON.stringify(f.data);if(dark.matches)data=data.replaceAll('#0072B2','#4DA3E0');
Plotly.react('plot'+i,JSON.parse(data),l,{displayModeBar:false});
root.first??=performance.now();setTimeout(one,0,i+1)};one(0)}
dark.addEventListener('change',draw);addEventListener('resize',draw);draw();
"""
