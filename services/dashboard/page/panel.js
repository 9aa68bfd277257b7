// One panel: its frame from Grafana's JSON, its content from an answer.

import { Drawing, spark } from "./chart.js";
import { make } from "./elements.js";
import { Graph, last } from "./graph.js";
import { format, moment } from "./units.js";

const GRID = 24; // columns of Grafana's grid
const UNIT_PX = 32; // one unit of height

export class Panel {
  constructor(source) {
    this.id = source.id;
    this.kind = source.type;
    this.title = source.title;
    this.unit = source.fieldConfig.defaults.unit;
    this.limit = source.fieldConfig.defaults.thresholds?.steps.at(-1).value ?? undefined;
    this.height = source.gridPos.h * UNIT_PX;
    this.off = new Set(); // names of lines that the reader switched off
    this.body = make("div", { class: "body" });
    this.element = this.frame(source);
    new ResizeObserver(() => this.drawing?.redraw()).observe(this.body);
  }

  frame(source) {
    const heading = `title-${this.id}`;
    const tip = make("span", { class: "tip", role: "tooltip", id: `tip-${this.id}` }, source.description);
    const why = make("button", { type: "button", class: "why", "aria-label": "What is this?", "aria-describedby": tip.id }, "?");
    const links = (source.links ?? []).map((link) =>
      make("a", { href: link.url.replace("${runbooks}", "/runbooks"), target: "_blank", rel: "noopener" }, link.title));
    const head = make("div", { class: "head" }, make("h3", { id: heading }, this.title), why, tip, ...links);
    const attributes = { class: `panel ${this.kind}`, "aria-labelledby": heading, "data-panel": this.id, "data-state": "loading" };
    const element = make("article", attributes, head, this.body);
    element.style.setProperty("--span", source.gridPos.w);
    element.style.setProperty("--span-narrow", source.gridPos.w < GRID / 2 ? GRID / 2 : GRID);
    return element;
  }

  // Shows an answer; `events` are moments to mark.
  show(answer, events) {
    const { series, bands, rows } = answer;
    if (!(series ?? bands ?? rows).length) {
      this.say("empty", "No data", "Nothing was recorded for this choice in this time; zero would be drawn.");
      return;
    }
    this.element.dataset.state = "ok";
    if (this.graph?.update(answer, events)) return;
    this.clear();
    if (this.kind === "table") this.showTable(answer);
    else if (this.kind === "stat") this.showNumbers(answer);
    else {
      this.graph = new Graph(this, answer, events);
      this.drawing = this.graph.drawing;
    }
  }

  // Before something else is shown, or the same in other colours.
  clear() {
    this.drawing?.end();
    this.drawing = undefined;
    this.graph = undefined;
    this.body.replaceChildren();
  }

  // A sentence instead of a picture.
  say(state, short, long) {
    this.clear();
    this.element.dataset.state = state;
    this.body.append(make("p", { class: "said" }, make("strong", {}, short), make("span", {}, long)));
  }

  // Prometheus is away: what was seen before stays.
  keep(message) {
    if (this.element.dataset.state !== "ok") this.say("error", "No answer", message);
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
    this.drawing = new Drawing(host, () => spark(host, { ...options, colour: themed() }));
  }

  showTable({ labels, rows }) {
    const head = [...labels, "value"].map((label) => make("th", { scope: "col" }, label));
    const sorted = rows.toSorted((one, other) => (other.at(-1) ?? 0) - (one.at(-1) ?? 0));
    const body = sorted.map((row) =>
      make("tr", {}, ...row.slice(0, -1).map((cell) => make("td", {}, cell)), make("td", { class: "number" }, format(this.unit, row.at(-1)))));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
    this.body.append(make("div", { class: "scroll", tabindex: "0" }, table));
  }
}
