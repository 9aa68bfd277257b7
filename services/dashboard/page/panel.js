// One panel: its frame from Grafana's JSON, its content from an answer. All text goes in as text, never as HTML.

import { heat, lines, look, spark } from "./chart.js";
import { format, moment, timeOfDay } from "./units.js";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const GRID = 24; // columns of Grafana's grid
const UNIT_PX = 32; // of Grafana's grid, one unit of height
const LEGEND_PX = 84; // title and legend of a graph

const last = (values) => values.findLastIndex((value) => value !== null);

export class Panel {
  constructor(source) {
    this.id = source.id;
    this.kind = source.type;
    this.title = source.title;
    this.unit = source.fieldConfig.defaults.unit;
    this.limit = source.fieldConfig.defaults.thresholds?.steps.at(-1).value ?? undefined;
    this.height = source.gridPos.h * UNIT_PX;
    this.hidden = new Set(); // names of lines that the reader switched off
    this.body = make("div", { class: "body" });
    this.element = this.frame(source);
    this.redraw = () => {};
    new ResizeObserver(() => this.redraw()).observe(this.body);
  }

  frame(source) {
    const heading = `title-${this.id}`;
    const tip = make("span", { class: "tip", role: "tooltip", id: `tip-${this.id}` }, source.description);
    const why = make("button", { type: "button", class: "why", "aria-label": "What is this?", "aria-describedby": tip.id }, "?");
    const links = (source.links ?? []).map((link) =>
      make("a", { href: link.url.replace("${runbooks}", "/runbooks"), target: "_blank", rel: "noopener" }, link.title));
    this.at = make("span", { class: "at" }); // the moment under the cursor
    const head = make("div", { class: "head" }, make("h3", { id: heading }, this.title), why, tip, this.at, ...links);
    const attributes = { class: `panel ${this.kind}`, "aria-labelledby": heading, "data-panel": this.id, "data-state": "loading" };
    const element = make("article", attributes, head, this.body);
    element.style.setProperty("--span", source.gridPos.w);
    element.style.setProperty("--span-narrow", source.gridPos.w <= GRID / 2 - 1 ? GRID / 2 : GRID);
    return element;
  }

  // Shows an answer; `events` are moments to mark.
  show(answer, events) {
    const { series, bands, rows } = answer;
    if (!(series ?? bands ?? rows).length) return this.say("empty", "No data", "Nothing was recorded for this choice in this time; zero would be drawn.");
    this.element.dataset.state = "ok";
    this.body.replaceChildren();
    if (this.kind === "table") this.showTable(answer);
    else if (this.kind === "stat") this.showNumbers(answer);
    else this.showPicture(answer, events);
  }

  // A sentence instead of a picture.
  say(state, short, long) {
    this.element.dataset.state = state;
    this.redraw = () => {};
    this.body.replaceChildren(make("p", { class: "said" }, make("strong", {}, short), make("span", {}, long)));
  }

  // Prometheus is away: what was seen before stays.
  keep(message) {
    if (this.element.dataset.state !== "ok") this.say("error", "No answer", message);
  }

  showPicture(answer, events) {
    const host = make("div", { class: "plot", role: "img" });
    const legend = make("ul", { class: "legend" });
    this.body.append(host, legend);
    const values = this.kind === "heatmap" ? this.heatLegend(legend, answer) : this.lineLegend(legend, answer);
    const told = (index) => {
      this.at.textContent = index === null ? "" : timeOfDay(answer.times[index]);
      values(index);
    };
    if (this.limit !== undefined) legend.prepend(make("li", { class: "limit" }, `bad from ${format(this.unit, this.limit)}`));
    host.setAttribute("aria-label", `${this.title}: ${legend.innerText.replaceAll("\n", " ")}`);
    const options = { answer, unit: this.unit, limit: this.limit, events, height: this.height - LEGEND_PX, told };
    this.draw(host, () => (this.kind === "heatmap" ? heat : lines)(host, options), (plot) => this.apply(plot, answer));
  }

  // Draws now, and again whenever the room for it has another width.
  draw(host, picture, ready = () => {}) {
    let width = 0;
    this.redraw = () => {
      if (!host.clientWidth || host.clientWidth === width) return;
      width = host.clientWidth;
      host.replaceChildren();
      this.plot = picture();
      ready(this.plot);
    };
    this.redraw();
  }

  apply(plot, answer) {
    (answer.series ?? []).forEach((line, at) => {
      if (this.hidden.has(line.name)) plot.setSeries(at + 1, { show: false });
    });
  }

  lineLegend(legend, answer) {
    const values = answer.series.map((line, at) => {
      const value = make("span", { class: "value" });
      legend.append(make("li", {}, this.switch(line, at, value)));
      return value;
    });
    if (answer.hidden) legend.append(make("li", { class: "more" }, `and ${answer.hidden} lower lines that are not drawn`));
    const told = (index) => answer.series.forEach((line, at) => {
      values[at].textContent = format(this.unit, line.values[index ?? last(line.values)]);
    });
    told(null);
    return told;
  }

  switch(line, at, value) {
    const swatch = make("span", { class: `swatch dash-${Math.min(look(at).dash.length, 4)}`, "aria-hidden": "true" });
    swatch.style.borderTopColor = look(at).colour;
    const shown = !this.hidden.has(line.name);
    const button = make("button", { type: "button", "aria-pressed": shown }, swatch, make("span", {}, line.name || this.title), value);
    button.addEventListener("click", () => {
      const on = this.hidden.delete(line.name) || !this.hidden.add(line.name);
      button.setAttribute("aria-pressed", on);
      this.plot.setSeries(at + 1, { show: on });
    });
    return button;
  }

  heatLegend(legend, answer) {
    const text = make("li");
    legend.append(text);
    const told = (index) => {
      const at = index ?? answer.times.length - 1;
      const some = answer.bands.filter((band) => band.values[at]);
      const listed = some.map((band) => `${this.bound(band)} ${format("ops", band.values[at])}`);
      text.textContent = index === null ? "The deeper the colour, the more" : listed.join(", ") || "none";
    };
    told(null);
    return told;
  }

  bound(band) {
    return band.bound === "+Inf" ? "more:" : `≤ ${format(this.unit, Number(band.bound))}:`;
  }

  showNumbers(answer) {
    for (const line of answer.series) {
      const at = last(line.values);
      const bad = this.limit !== undefined && line.values[at] >= this.limit;
      const colour = this.limit === undefined ? "--line-1" : bad ? "--bad" : "--good";
      const number = make("p", { class: `number ${bad ? "bad" : ""}` }, format(this.unit, line.values[at]));
      number.style.color = `var(${colour})`;
      this.body.append(number, make("p", { class: "below" }, [line.name, this.judged(bad), this.age(answer.times, at)].filter(Boolean).join(" · ")));
      if (answer.series.length === 1) this.sparkBelow(answer.times, line.values, colour);
    }
  }

  judged(bad) {
    if (this.limit === undefined) return "";
    return `${bad ? "▲ bad" : "good; bad"} from ${format(this.unit, this.limit)}`;
  }

  // A number that is not of this moment says so.
  age(times, at) {
    return at < times.length - 2 ? `last at ${moment(times[at])}` : "";
  }

  sparkBelow(times, values, colour) {
    const host = make("div", { class: "plot", "aria-hidden": "true" });
    this.body.append(host);
    const options = { times, values, height: 44 };
    const themed = () => getComputedStyle(document.documentElement).getPropertyValue(colour).trim();
    this.draw(host, () => spark(host, { ...options, colour: themed() }));
  }

  showTable({ labels, rows }) {
    this.redraw = () => {};
    const head = [...labels, "value"].map((label) => make("th", { scope: "col" }, label));
    const sorted = rows.toSorted((one, other) => (other.at(-1) ?? 0) - (one.at(-1) ?? 0));
    const body = sorted.map((row) =>
      make("tr", {}, ...row.slice(0, -1).map((cell) => make("td", {}, cell)), make("td", { class: "number" }, format(this.unit, row.at(-1)))));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
    this.body.append(make("div", { class: "scroll", tabindex: "0" }, table));
  }
}
