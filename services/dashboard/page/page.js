// The page: which dashboard, what was chosen, and asking again.

import { ask, Trouble } from "./ask.js";
import { make } from "./elements.js";
import { Panel } from "./panel.js";
import { timeOfDay } from "./units.js";

const REMEDIES = { away: "Start it, or give mailweir dashboard another address with --prometheus.", gone: "Start mailweir dashboard again." };
const name = location.pathname.slice(1);
const asked = new URLSearchParams(location.search);
const byId = (id) => document.getElementById(id);
let panels = [];
let asking = new AbortController();
let timer;

function link(board) {
  const attributes = { href: `/${board.name}?${asked}`, "data-board": board.name };
  return make("a", board.name === name ? { ...attributes, "aria-current": "page" } : attributes, board.title);
}

// The address says what is shown, so that it can be sent to somebody; links to the other dashboards keep it.
function remember() {
  history.replaceState(null, "", `/${name}?${asked}`);
  for (const one of byId("boards").children) one.href = `/${one.dataset.board}?${asked}`;
}

function choose(key, value) {
  if (value) asked.set(key, value);
  else asked.delete(key);
  remember();
  refresh();
}

function control(variable) {
  const input = variable.type === "textbox"
    ? make("input", { type: "number", min: "0", step: "any", value: asked.get(variable.name) ?? variable.query })
    : make("select", {}, new Option("All", ""));
  input.name = variable.name;
  input.addEventListener("change", () => choose(variable.name, input.value));
  return make("label", {}, `${variable.label} `, input);
}

function layOut(board) {
  document.title = board.title;
  const shown = board.templating.list.filter((one) => one.type === "query" || (one.type === "textbox" && one.name !== "runbooks"));
  byId("variables").replaceChildren(...shown.map(control));
  byId("range").value = asked.get("range") ?? board.time.from.replace("now-", "");
  byId("refresh").value = asked.get("refresh") ?? parseInt(board.refresh, 10);
  if (asked.get("until")) byId("until").value = local(Number(asked.get("until")));
  let grid;
  for (const source of board.panels) {
    if (source.type === "row") {
      grid = make("div", { class: "grid" });
      byId("rows").append(make("details", { open: "" }, make("summary", {}, make("h2", {}, source.title)), grid));
    } else {
      panels.push(new Panel(source));
      grid.append(panels.at(-1).element);
    }
  }
}

// As a field for date and time has it: the reader's own time, without a zone.
function local(seconds) {
  const at = new Date(seconds * 1000);
  return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

function question() {
  const found = new URLSearchParams(asked);
  found.set("range", byId("range").value);
  return found;
}

function fillChoices(choices) {
  for (const [key, values] of Object.entries(choices)) {
    const select = byId("asked").elements[key];
    const kept = asked.get(key) ?? "";
    const listed = kept && !values.includes(kept) ? [...values, kept] : values;
    if (["", ...listed].join("\n") === [...select.options].map((option) => option.value).join("\n")) continue; // it may be open
    select.replaceChildren(new Option("All", ""), ...listed.map((value) => new Option(value, value)));
    select.value = kept;
  }
}

async function load(panel, events, signal) {
  try {
    panel.show(await ask(`/${name}/panels/${panel.id}`, question(), signal), events);
    return null;
  } catch (trouble) {
    if (!(trouble instanceof Trouble)) throw trouble;
    if (trouble.kind === "refused") panel.say("error", "This query failed", trouble.message);
    else panel.keep(trouble.message);
    return trouble;
  }
}

async function around(signal) {
  const [choices, events] = await Promise.all([
    ask(`/${name}/choices`, question(), signal), ask(`/${name}/events`, question(), signal)]);
  fillChoices(choices);
  byId("event").hidden = !events.length;
  return events;
}

async function refresh() {
  clearTimeout(timer);
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  byId("rows").setAttribute("aria-busy", "true");
  try {
    const troubles = await everything(signal);
    tell(troubles.find((one) => one && one.kind !== "refused"));
    byId("rows").setAttribute("aria-busy", "false");
    again();
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

async function everything(signal) {
  let events = [];
  const troubles = [];
  try {
    events = await around(signal);
  } catch (trouble) {
    if (!(trouble instanceof Trouble)) throw trouble;
    troubles.push(trouble);
  }
  return troubles.concat(await Promise.all(panels.map((panel) => load(panel, events, signal))));
}

function tell(trouble) {
  byId("trouble").hidden = !trouble;
  const before = panels.some((panel) => panel.element.dataset.state === "ok");
  byId("trouble").textContent = trouble
    ? [`${trouble.message}.`, REMEDIES[trouble.kind], before && "What is drawn below is from before."].filter(Boolean).join(" ")
    : "";
  document.body.classList.toggle("stale", Boolean(trouble));
  if (!trouble) byId("state").textContent = `seen at ${timeOfDay(Date.now() / 1000)}`;
}

function again() {
  const seconds = Number(byId("refresh").value);
  if (seconds) timer = setTimeout(() => (document.hidden ? again() : refresh()), seconds * 1000);
}

function listen() {
  byId("asked").addEventListener("submit", (event) => {
    event.preventDefault();
    byId("until").value = "";
    choose("until", "");
  });
  byId("range").addEventListener("change", (event) => choose("range", event.target.value));
  byId("refresh").addEventListener("change", (event) => choose("refresh", event.target.value));
  byId("until").addEventListener("change", (event) =>
    choose("until", event.target.value && String(new Date(event.target.value).getTime() / 1000)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    panels.forEach((panel) => panel.clear()); // pictures take their colours when they are made
    refresh();
  });
}

async function start() {
  const [boards, board] = await Promise.all([ask("", ""), ask(`/${name}`, "")]);
  byId("boards").replaceChildren(...boards.map(link));
  layOut(board);
  listen();
  await refresh();
}

start();
