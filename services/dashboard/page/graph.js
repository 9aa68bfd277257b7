// A picture over time with its legend, which takes new values without being made anew: focus and what was switched off stay.

import { Drawing, heat, lines, look } from "./chart.js";
import { make } from "./elements.js";
import { format, timeOfDay } from "./units.js";

const LEGEND_PX = 84; // title and legend of a graph

export const last = (values) => values.findLastIndex((value) => value !== null);

// What a picture is made for: another set of lines or bands needs another picture.
const shape = ({ series, bands, hidden }) => JSON.stringify(series ? [hidden, series.map((line) => line.name)] : bands.map((band) => band.bound));

export class Graph {
  // `panel` has unit, limit, height, title, kind, body and `off`, the names of lines switched off.
  constructor(panel, answer, events) {
    this.panel = panel;
    this.answer = answer;
    this.events = events;
    this.at = make("span", { class: "at" }); // the moment under the cursor
    this.host = make("div", { class: "plot", role: "img" }, this.at);
    this.legend = make("ul", { class: "legend" });
    this.values = panel.kind === "heatmap" ? this.heatLegend() : this.lineLegend();
    if (panel.limit !== undefined) this.legend.prepend(make("li", { class: "limit" }, `bad from ${format(panel.unit, panel.limit)}`));
    panel.body.replaceChildren(this.host, this.legend);
    this.tell(null);
    this.drawing = new Drawing(this.host, () => this.picture());
  }

  // Takes another answer, if it is of the same shape.
  update(answer, events) {
    if (shape(answer) !== shape(this.answer)) return false;
    this.answer = answer;
    this.events = events;
    this.tell(null);
    this.drawing.plot?.setData(this.data());
    return true;
  }

  data() {
    const { times, series } = this.answer;
    return [times, ...(series ? series.map((line) => line.values) : [times.map(() => null)])];
  }

  picture() {
    const { kind, unit, limit, height, off } = this.panel;
    const plot = (kind === "heatmap" ? heat : lines)(this.host, this, { unit, limit, height: height - LEGEND_PX });
    (this.answer.series ?? []).forEach((line, at) => off.has(line.name) && plot.setSeries(at + 1, { show: false }));
    return plot;
  }

  // The values at an index, or the last ones.
  tell(index) {
    this.at.textContent = index === null ? "" : timeOfDay(this.answer.times[index]);
    this.values(index);
    if (index === null) this.host.setAttribute("aria-label", `${this.panel.title}: ${this.legend.innerText.replaceAll("\n", " ")}`);
  }

  lineLegend() {
    const cells = this.answer.series.map((line, at) => {
      const value = make("span", { class: "value" });
      this.legend.append(make("li", {}, this.switch(line.name, at, value)));
      return value;
    });
    if (this.answer.hidden) this.legend.append(make("li", { class: "more" }, `and ${this.answer.hidden} lower lines that are not drawn`));
    return (index) => this.answer.series.forEach(({ values }, at) => {
      cells[at].textContent = format(this.panel.unit, values[index ?? last(values)]);
    });
  }

  switch(name, at, value) {
    const { off, title } = this.panel;
    const swatch = make("span", { class: `swatch dash-${Math.min(look(at).dash.length, 4)}`, "aria-hidden": "true" });
    swatch.style.borderTopColor = look(at).colour;
    const button = make("button", { type: "button", "aria-pressed": !off.has(name) }, swatch, make("span", {}, name || title), value);
    button.addEventListener("click", () => {
      const on = off.delete(name) || !off.add(name);
      button.setAttribute("aria-pressed", on);
      this.drawing.plot?.setSeries(at + 1, { show: on });
    });
    return button;
  }

  heatLegend() {
    const text = make("li");
    this.legend.append(text);
    return (index) => {
      const some = this.answer.bands.filter((band) => band.values[index]);
      const listed = some.map((band) => `${this.bound(band)} ${format("ops", band.values[index])}`);
      text.textContent = index === null ? "The deeper the colour, the more" : listed.join(", ") || "none";
    };
  }

  bound(band) {
    return band.bound === "+Inf" ? "more:" : `≤ ${format(this.panel.unit, Number(band.bound))}:`;
  }
}
