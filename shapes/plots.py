"""Pictures of a shape: one HTML file that works offline, on a desk and on a phone.

`figure(...)` makes a plain plotly figure (a dictionary); `page(title, cards)` embeds plotly.js once
and draws the figures in the reader's light or dark theme. The colours are those of Okabe and Ito,
which people with any kind of colour vision can tell apart. Titles say what was found.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
Line = tuple[str, Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Card:
    """A picture with the finding as its title and a sentence on how to read it."""

    title: str
    see: str
    figure: dict[str, Any]


def figure(lines: Sequence[Line], x: str, y: str, *, log_x: bool = False, log_y: bool = False,
           kind: str = "lines") -> dict[str, Any]:  # fmt: skip
    """A figure of named lines (or `bars`); `x` and `y` are the axis titles with their units."""
    data: list[dict[str, Any]] = []
    for place, (name, xs, ys) in enumerate(lines):
        colour = PALETTE[place % len(PALETTE)]
        trace: dict[str, Any] = {"name": name, "x": _round(xs), "y": _round(ys)}
        if kind == "bars":
            trace |= {"type": "bar", "marker": {"color": colour}}
        else:
            dash = ("solid", "dash", "dot", "dashdot")[place % 4]
            trace |= {"type": "scatter", "mode": kind, "line": {"color": colour, "dash": dash}}
        data.append(trace)
    return {
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": x}, "type": "log" if log_x else "-", "automargin": True},
            "yaxis": {"title": {"text": y}, "type": "log" if log_y else "-", "automargin": True},
            "showlegend": len(data) > 1,
        },
    }


def page(title: str, cards: Sequence[Card], facts: Sequence[tuple[str, str]] = ()) -> str:
    """The whole HTML file."""
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
        f"<div class=tiles>{tiles}</div><div class=grid>{drawn}</div></main>"
        f"<script>{get_plotlyjs()}</script><script>const FIGURES={figures};{_JS}</script></html>\n"
    )


def cards_of(shape: dict[str, Any]) -> list[Card]:
    """The pictures of a shape."""
    return [*_arrival_cards(shape["arrivals"]), *_mix_cards(shape["mix"])]


def _arrival_cards(arrivals: dict[str, Any]) -> list[Card]:
    step, rates = arrivals["series"]["step_s"], arrivals["series"]["per_s"]
    cards = []
    for part in (1, 10, 100):
        size = max(len(rates) // part, 10)
        peak = rates.index(max(rates)) if rates else 0
        low = 0 if part == 1 else max(0, min(peak - size // 2, len(rates) - size))
        chosen = rates[low : low + size]
        if part > 1 and len(rates) < 10 * part:
            continue
        top = max(chosen, default=0.0)
        where = "over the whole span" if part == 1 else f"in the busiest 1/{part} of it"
        title = f"Up to {top:,.0f} requests/s {where}"
        times = [(low + i) * step for i in range(len(chosen))]
        cards.append(Card(title, f"Rate in steps of {step:.3g} s.",
                          figure([("rate", times, chosen)], "time (s)", "requests/s")))  # fmt: skip
    tau, idc = _columns(arrivals["idc"])
    top = max(idc, default=1.0)
    said = f"{top:.1f} times as bursty as Poisson at its worst" if top > 1.5 else "Close to Poisson"
    lines = [("IDC", tau, idc), ("Poisson", tau, [1.0] * len(tau)),
             ("Allan factor", *_columns(arrivals["allan"]))]  # fmt: skip
    cards.append(Card(said, "A line above Poisson is burstiness at that timescale.",
                      figure(lines, "timescale (s)", "index of dispersion",
                             log_x=True, log_y=True)))  # fmt: skip
    q, gaps = _columns(arrivals["gap_quantiles_s"])
    cards.append(Card(f"Half of the gaps are below {_middle(q, gaps) * 1e3:.3g} ms",
                      "Gaps between consecutive requests.",
                      figure([("gaps", gaps, q)], "gap (s)", "share below",
                             log_x=True)))  # fmt: skip
    return cards


def _mix_cards(mix: dict[str, Any]) -> list[Card]:
    top = mix["endpoints"][:12]
    names = [entry["endpoint"] for entry in top]
    shares = [100 * entry["share"] for entry in top]
    first = f"{names[0]} is {shares[0]:.0f} % of the requests" if top else "No requests"
    bars = figure([("share", shares[::-1], names[::-1])], "share (%)", "", kind="bars")
    bars["data"][0]["orientation"] = "h"
    sizes = []
    for name, key in (("request", "request_bytes"), ("response", "response_bytes")):
        quantiles = list(mix[key].values())
        sizes.append((name, quantiles, [50, 90, 99, 99.9]))
    heavy = mix["response_bytes"]["p99"]
    return [
        Card(first, "The most frequent endpoints.", bars),
        Card(f"One response in a hundred exceeds {heavy:,.0f} bytes", "Sizes on the wire.",
             figure(sizes, "bytes", "percentile", log_x=True, kind="lines+markers")),
    ]  # fmt: skip


def _columns(pairs: list[list[float]]) -> tuple[list[float], list[float]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _middle(qs: list[float], values: list[float]) -> float:
    return values[qs.index(0.5)] if 0.5 in qs else 0.0


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
function draw(){const ink=dark.matches?'#e9ecef':'#1c2024',line=dark.matches?'#343a40':'#dde1e5';
FIGURES.forEach((f,i)=>{const l=structuredClone(f.layout);
Object.assign(l,{width:document.getElementById('plot'+i).clientWidth,height:300,
paper_bgcolor:'rgba(0,0,0,0)',plot_bgcolor:'rgba(0,0,0,0)',
font:{color:ink,size:12},margin:{l:50,r:12,t:8,b:44},legend:{orientation:'h',y:1.12}});
for(const a of ['xaxis','yaxis'])Object.assign(l[a],{gridcolor:line,zerolinecolor:line});
Plotly.react('plot'+i,structuredClone(f.data),l,{displayModeBar:false})})}
dark.addEventListener('change',draw);addEventListener('resize',draw);draw();
"""
