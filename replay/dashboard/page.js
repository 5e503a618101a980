"use strict";
// States come as server-sent events; each says everything, so a missed one is no loss.
const at = id => document.getElementById(id), NS = "http://www.w3.org/2000/svg";
const put = (id, text) => { if (at(id).textContent !== text) at(id).textContent = text; };
const whole = n => Math.round(n).toLocaleString("en");
const short = n => n >= 1e6 ? (n / 1e6).toFixed(1) + "M" : n >= 1e5 ? (n / 1e3).toFixed(0) + "k" : n < 10 && n % 1 ? n.toFixed(1) : whole(n);
const time = ms => ms === null ? ["none", ""] : ms >= 9950 ? [(ms / 1e3).toFixed(0), "s"] : ms >= 995 ? [(ms / 1e3).toFixed(1), "s"] : ms >= 99.5 ? [ms.toFixed(0), "ms"] : ms >= 9.95 ? [ms.toFixed(1), "ms"] : ms >= 0.995 ? [ms.toFixed(2), "ms"] : [(ms * 1e3).toFixed(0), "µs"];
const said = ms => time(ms).join(" ").trim();
const lasting = s => s >= 86400 ? `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h` : s >= 3600 ? `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min` : s >= 60 ? `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s` : `${Math.floor(s)} s`;
let heard = 0, ended = false;

function big(id, ms) { const [n, unit] = time(ms); put(id, n); put(id + "-unit", unit); }

function show(s) {
  heard = Date.now(); ended = !!s.ended;
  if (!("word" in s)) return;
  document.body.dataset.word = s.word;
  document.title = `${s.word} · ${s.name}`;
  put("name", s.name); put("word", s.word); put("sentence", s.sentence);
  put("progress", lasting(s.elapsed_s) + (s.length_s ? ` of ${lasting(s.length_s)}` : ""));
  put("rate", short(s.rate)); put("planned", short(s.planned_rate));
  const share = s.failed_share * 100;
  put("errors", share === 0 ? "0" : share < 0.1 ? "<0.1" : share < 10 ? share.toFixed(1) : share.toFixed(0));
  put("failed", whole(s.sums.failed || 0)); put("sent", whole(s.sums.sent || 0));
  big("p99", s.service_ms[1]); put("p50", said(s.service_ms[0])); put("recorded", said(s.recorded_ms[1]));
  big("late", s.late_ms[1]); put("late50", said(s.late_ms[0])); put("flying", short(s.in_flight));
  at("tile-errors").classList.toggle("alarm", s.failed_share > 0.005);
  at("tile-late").classList.toggle("alarm", s.late_ms[1] > 10);
  at("tile-rate").classList.toggle("alarm", s.planned_rate > 5 && s.rate < 0.9 * s.planned_rate);
  chart("chart-rate", s.history, [["plan", 1], ["sent", 2], ["bad", 3]]);
  chart("chart-latency", s.history, [["p50", 4], ["p99", 5]]);
  rows("endpoints", s.endpoints, e => [e.endpoint, said(e.p99_ms), said(e.recorded_ms), whole(e.failed)]);
  rows("watched", s.watched || [], w => [w.metric, w.now, w.per_hour]);
  at("watched-box").hidden = !(s.watched || []).length;
  at("findings-box").hidden = !s.findings.length;
  at("findings").replaceChildren(...s.findings.map(f => { const li = document.createElement("li"); li.textContent = (f.at ? f.at + ": " : "") + f.sentence; return li; }));
}

function rows(id, list, cells) {
  at(id).replaceChildren(...list.map(item => {
    const tr = document.createElement("tr");
    for (const text of cells(item)) { const td = document.createElement("td"); td.textContent = text; td.title = text; tr.append(td); }
    return tr;
  }));
}

function node(name, attributes, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function nice(most) { const power = 10 ** Math.floor(Math.log10(most || 1)); return [1, 1.5, 2, 3, 4, 6, 8, 10].map(m => m * power).find(n => n >= most) || 1; }

function chart(id, points, lines) {
  const svg = at(id), { width: w, height: h } = svg.getBoundingClientRect(), left = 46, top = 10, low = h - 20;
  if (!points.length || !w) return;
  const span = Math.max(30, points.length), most = Math.max(1e-9, ...points.flatMap(p => lines.map(([, k]) => p[k] || 0)));
  const roof = nice(most), last = points[points.length - 1][0];
  const x = s => w - 4 - (last - s) / span * (w - left - 4), y = v => low - v / roof * (low - top);
  const parts = [0, 0.5, 1].flatMap(f => [node("line", { class: "grid", x1: left, x2: w, y1: y(roof * f), y2: y(roof * f) }),
    node("text", { x: left - 6, y: y(roof * f) + 4, "text-anchor": "end" }, short(roof * f))]);
  parts.push(node("text", { x: left, y: h - 2 }, lasting(span) + " ago"), node("text", { x: w - 4, y: h - 2, "text-anchor": "end" }, "now"));
  for (const [name, k] of lines) {
    let d = "", pen = false;
    for (const p of points) {
      if (p[k] === null || (name === "bad" && !p[k])) { pen = false; continue; }
      d += `${pen ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[k]).toFixed(1)}`;
      if (!pen) d += "h.1";
      pen = true;
    }
    parts.push(node("path", { class: name, d }));
  }
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
  svg.replaceChildren(...parts);
}

function fresh() {
  const age = (Date.now() - heard) / 1e3, stale = !ended && age > 4;
  document.body.classList.toggle("stale", stale);
  put("fresh", ended ? "ended" : !heard ? "connecting" : stale ? `no news for ${Math.floor(age)} s` : "live");
}

const source = new EventSource("/events");
source.onmessage = event => { show(JSON.parse(event.data)); fresh(); if (ended) source.close(); };
setInterval(fresh, 1000);
