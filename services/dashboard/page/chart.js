// Pictures with uPlot: lines over time, bands of a histogram over time, and the small line below a number.
/* global uPlot */

import { axisSteps, axisTime, format, formatAll } from "./units.js";

const COLOURS = 8; // --line-1 … --line-8 of page.css; a ninth line has the first colour and is dashed
const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4]];
const PADDING = [8, 20, 0, 0]; // the last mark of the time axis reaches beyond the picture

const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const font = () => `12px ${themed("--font")}`;

export const look = (number) => ({
  colour: themed(`--line-${(number % COLOURS) + 1}`),
  dash: DASHES[Math.floor(number / COLOURS) % DASHES.length],
});

// A value that has no neighbour makes no line: it is drawn as a point.
const alone = (values) =>
  values.flatMap((value, at) => (value !== null && values[at - 1] == null && values[at + 1] == null ? [at] : []));

function axes(unit) {
  const shared = { stroke: themed("--dim"), grid: { stroke: themed("--grid"), width: 1 }, ticks: { show: false }, font: font() };
  return [
    { ...shared, size: 28, space: 70, values: (_, marks, __, ___, step) => marks.map((mark) => axisTime(mark, step)) },
    {
      ...shared,
      size: (_, labels) => Math.max(40, ...(labels ?? []).map((label) => label.length * 7.2 + 14)),
      incrs: axisSteps(unit),
      values: (_, marks) => formatAll(unit, marks),
    },
  ];
}

// From zero, so that a small change looks small.
const span = (_, low, high) => {
  const top = Math.max(high ?? 0, 0);
  const bottom = Math.min(low ?? 0, 0);
  return top === bottom ? [0, 1] : [bottom * 1.1, top * 1.1];
};

function stroke(u, colour, dash, draw) {
  u.ctx.save();
  u.ctx.strokeStyle = colour;
  u.ctx.lineWidth = devicePixelRatio;
  u.ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  u.ctx.beginPath();
  draw(u.ctx);
  u.ctx.stroke();
  u.ctx.restore();
}

function drawLimit(u, from) {
  if (from === undefined || from > u.scales.y.max || from < u.scales.y.min) return;
  const y = Math.round(u.valToPos(from, "y", true));
  u.ctx.save();
  u.ctx.fillStyle = themed("--bad-area");
  u.ctx.fillRect(u.bbox.left, u.bbox.top, u.bbox.width, y - u.bbox.top);
  u.ctx.restore();
  stroke(u, themed("--bad"), [4, 3], (ctx) => ctx.moveTo(u.bbox.left, y) || ctx.lineTo(u.bbox.left + u.bbox.width, y));
}

function drawEvents(u, events) {
  for (const event of events) {
    if (event < u.scales.x.min || event > u.scales.x.max) continue;
    const x = Math.round(u.valToPos(event, "x", true));
    stroke(u, themed("--event"), [2, 3], (ctx) => ctx.moveTo(x, u.bbox.top) || ctx.lineTo(x, u.bbox.top + u.bbox.height));
  }
}

const cursor = () => ({ sync: { key: "mailweir" }, points: { size: 7 }, drag: { x: true, y: false }, y: false });

function sized(host, height) {
  return { width: Math.max(host.clientWidth, 80), height };
}

// A picture that is made again whenever the room for it has another width; `picture` answers a uPlot.
export class Drawing {
  constructor(host, picture) {
    this.host = host;
    this.picture = picture;
    this.width = 0;
    this.redraw();
  }

  redraw() {
    if (!this.host.clientWidth || this.host.clientWidth === this.width) return;
    this.width = this.host.clientWidth;
    this.end();
    this.plot = this.picture();
  }

  // uPlot keeps every plot that shares its cursor with others until it is told.
  end() {
    this.plot?.destroy();
  }
}

// `graph` has the answer, the events to mark, data() of both, and tell(), which is called with the index under the cursor, or null.
export function lines(host, graph, { unit, limit, height }) {
  const { series } = graph.answer;
  const drawn = series.map((line, number) => {
    const { colour, dash } = look(number);
    return {
      label: line.name,
      stroke: colour,
      dash,
      width: 1.5,
      fill: series.length === 1 ? `${colour}1a` : undefined, // several would only mix their colours
      points: { show: true, size: 4, filter: (u, at) => alone(u.data[at]) },
    };
  });
  const options = {
    ...sized(host, height),
    padding: PADDING,
    series: [{}, ...drawn],
    axes: axes(unit),
    scales: { y: { range: span } },
    legend: { show: false },
    cursor: cursor(),
    hooks: {
      drawClear: [(u) => drawLimit(u, limit)],
      draw: [(u) => drawEvents(u, graph.events)],
      setCursor: [(u) => graph.tell(u.cursor.idx)],
    },
  };
  return new uPlot(options, graph.data(), host);
}

// A band for each bucket, its colour the deeper the more is in it; the axis names the upper bounds.
export function heat(host, graph, { unit, height }) {
  const bounds = graph.answer.bands.map((band) => Number(band.bound));
  const [times, bands] = axes(unit);
  const options = {
    ...sized(host, height),
    padding: PADDING,
    series: [{}, { label: "", show: true, stroke: "transparent", points: { show: false } }],
    axes: [
      { ...times, grid: { show: false } },
      {
        ...bands,
        incrs: undefined,
        splits: (u) => named(bounds.length, u.bbox.height / devicePixelRatio).map((at) => at + 0.5),
        values: (_, marks) => marks.map((mark) => (Number.isFinite(bounds[mark - 0.5]) ? `≤ ${format(unit, bounds[mark - 0.5])}` : "more")),
        grid: { show: false },
      },
    ],
    scales: { y: { range: [0, bounds.length] } },
    legend: { show: false },
    cursor: cursor(),
    hooks: {
      drawClear: [(u) => drawBands(u, graph.answer)],
      draw: [(u) => drawEvents(u, graph.events)],
      setCursor: [(u) => graph.tell(u.cursor.idx)],
    },
  };
  return new uPlot(options, graph.data(), host);
}

// Those of so many bands that there is room to name.
function named(count, height) {
  const every = Math.max(1, Math.ceil((count * 16) / Math.max(height, 16)));
  return Array.from({ length: count }, (_, at) => at).filter((at) => at % every === 0);
}

function drawBands(u, answer) {
  const most = Math.max(...answer.bands.flatMap((band) => band.values.map((value) => value ?? 0)));
  const step = (answer.times[1] ?? answer.times[0] + 1) - answer.times[0];
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  u.ctx.clip();
  u.ctx.fillStyle = themed("--heat");
  answer.bands.forEach((band, row) => {
    const top = u.valToPos(row + 1, "y", true);
    const height = u.valToPos(row, "y", true) - top;
    band.values.forEach((value, at) => {
      if (!value) return;
      const left = Math.round(u.valToPos(answer.times[at] - step, "x", true));
      u.ctx.globalAlpha = 0.12 + 0.88 * Math.sqrt(value / most);
      u.ctx.fillRect(left, top, Math.round(u.valToPos(answer.times[at], "x", true)) - left, height - 1);
    });
  });
  u.ctx.restore();
}

// Without axes: how a number came about.
export function spark(host, { times, values, colour, height }) {
  const options = {
    ...sized(host, height),
    series: [{}, { stroke: colour, fill: `${colour}22`, width: 1.5, points: { show: true, size: 4, filter: (u) => alone(u.data[1]) } }],
    axes: [{ show: false }, { show: false }],
    scales: { y: { range: span } },
    legend: { show: false },
    cursor: { show: false },
    padding: [2, 0, 0, 0],
  };
  return new uPlot(options, [times, values], host);
}
