"""Pages of pictures: one HTML file that works offline, on a desk, on a phone and on paper.

`figure(...)` makes the figures that shapes, plans and soaks need; `page(title, cards)` puts them on
a page as still pictures, which are there as soon as the page is read. Plotly, with which they can
be zoomed and read point by point, takes seconds to start: it lies in the page, compressed, until
somebody asks for it. The colours are those of Okabe and Ito, which people with any kind of colour
vision can tell apart. Titles say what was found.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass

from .axes import Axis
from .figures import DASHES, Figure, Trace
from .pictures import CSS, picture

COLOURS = 7
Line = tuple[str, Sequence[float], Sequence[float] | Sequence[str]]
"""Its name, its x and its y; a y of names makes an axis of names."""


@dataclass(frozen=True)
class Card:
    """A figure with the finding as its title and a sentence on how to read it."""

    title: str
    see: str
    figure: Figure


def figure(lines: Sequence[Line], x: str, y: str, *, log_x: bool = False, log_y: bool = False,
           kind: str = "lines", from_zero: bool = False) -> Figure:  # fmt: skip
    """A figure of named lines, `markers` or lying `bars`; `x` and `y`: axis titles with units."""
    traces = tuple(
        Trace(name, xs, ys, f"c{n % COLOURS}", kind, DASHES[n % len(DASHES)])
        for n, (name, xs, ys) in enumerate(lines)
    )
    names = tuple(dict.fromkeys(v for _, _, ys in lines for v in ys if isinstance(v, str)))
    return Figure(traces, Axis(x, log_x, from_zero=kind == "bars"),
                  Axis(y, log_y, from_zero, names))  # fmt: skip


def page(
    title: str, cards: Sequence[Card], facts: Sequence[tuple[str, str]] = (), more: str = ""
) -> str:
    """The whole HTML file; `more` is HTML that follows the pictures."""
    tiles = "".join(
        f"<div class=tile><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>"
        for name, value in facts
    )
    drawn = "".join(
        f"<section><h2>{html.escape(card.title)}</h2><p>{html.escape(card.see)}</p>"
        f"{plot(i, card.figure, card.title)}</section>"
        for i, card in enumerate(cards)
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<style>{_CSS}{CSS}</style>"
        f"<main><h1>{html.escape(title)}</h1>"
        f"<div class=tiles>{tiles}</div><div class=grid>{drawn}</div>{more}</main>"
        f"{closer_look([card.figure for card in cards])}</html>\n"
    )


def plot(place: int, drawn: Figure, title: str) -> str:
    """The place of a figure on a page, with its still picture."""
    return f"<div class=plot id=plot{place}>{picture(drawn, title)}</div>"


def closer_look(figures: Sequence[Figure]) -> str:
    """What ends a page of `plot`s: a button that draws them anew with Plotly, to be zoomed."""
    from plotly.offline import get_plotlyjs

    if not figures:
        return ""
    packed = base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
    # A "<" in a string could end the script element or open a comment in it.
    told = json.dumps([each.as_plotly() for each in figures], separators=(",", ":"))
    return (
        "<button id=closer>Zoom and read values</button>"
        f"<script type='text/plain' id=plotly>{packed}</script>"
        f"<script>const FIGURES={told.replace('<', chr(92) + 'u003c')};{_JS}</script>"
    )


_CSS = """
:root{color-scheme:light dark;--bg:#fafafa;--card:#fff;--ink:#1c2024;--soft:#5c656e;--line:#dde1e5}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e9ecef;--soft:#a0a8b0;
--line:#343a40}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,sans-serif}main{max-width:1400px;margin:auto;padding:16px 16px 64px}
h1{font-size:22px;overflow-wrap:anywhere}h2{font-size:16px;margin:0;overflow-wrap:anywhere}
p{margin:2px 0 6px;color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px}
.tile b{display:block;font-size:19px}.tile span{color:var(--soft)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:14px;
margin-top:14px}section{min-width:0}
"""
_JS = """
const root=document.documentElement,button=document.getElementById('closer');
root.dataset.drawn=performance.now();
async function unpacked(){
const text=atob(document.getElementById('plotly').textContent);
const bytes=Uint8Array.from(text,c=>c.charCodeAt(0));
return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text()}
let turn=0;
function draw(){const mine=++turn,style=getComputedStyle(root);
const real=text=>text.replace(/var\\((--\\w+)\\)/g,(_,name)=>style.getPropertyValue(name).trim());
const ink=real('var(--ink)'),line=real('var(--line)');
const one=i=>{if(mine!==turn)return;
if(i===FIGURES.length){root.dataset.live=performance.now();return}
const {data,layout}=JSON.parse(real(JSON.stringify(FIGURES[i])));
const place=document.getElementById('plot'+i);
place.querySelector('.picture')?.remove();
Object.assign(layout,{width:place.clientWidth,height:place.clientHeight,
paper_bgcolor:'rgba(0,0,0,0)',plot_bgcolor:'rgba(0,0,0,0)',
font:{color:ink,size:12},margin:{l:50,r:12,t:8,b:44},legend:{orientation:'h',y:1.12}});
for(const a of ['xaxis','yaxis'])Object.assign(layout[a],{gridcolor:line,zerolinecolor:line});
Plotly.react(place,data,layout,{displayModeBar:false});
setTimeout(one,0,i+1)};one(0)}
button.onclick=async()=>{button.disabled=true;button.textContent='…';
const script=document.createElement('script');script.textContent=await unpacked();
document.head.append(script);button.remove();draw();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change',draw);
addEventListener('resize',draw)};
"""
