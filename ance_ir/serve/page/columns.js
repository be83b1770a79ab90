// The systems side by side: what each answered, or why not, and how ranks differ.
import { MOST, withChanges } from "./address.js";
import * as api from "./api.js";
import { at, counted, element, say } from "./elements.js";
import { hit, movement } from "./hits.js";
import { stemsOf } from "./words.js";

const columns = new Map(); // by the name of its system: { system, section, key, answer, results, request, drawn, shown }
let state = {}, context = {}; // what was last to be shown, and what is known of the results

/** Show these systems, in this order, with their answers to the state; the answers that are there are not asked for again. */
export function show(systems, asked, known) {
  state = asked;
  context = { ...known, stems: stemsOf(state.like ? "" : state.q) };
  for (const [name, column] of columns) {
    if (!systems.some((system) => system.name === name)) remove(name, column);
  }
  at("results").dataset.count = systems.length;
  systems.forEach((system, number) => {
    const column = columns.get(system.name) ?? { section: element("section", { "aria-label": system.name }), results: [] };
    columns.set(system.name, column);
    const there = at("results").children[number + 1]; // after the lines
    if (there !== column.section) at("results").insertBefore(column.section, there ?? null); // to move it would cost the focus in it
    column.system = system;
    ask(column);
  });
  compare();
}

function remove(name, column) {
  column.request?.abort();
  column.section.remove();
  columns.delete(name);
}

async function ask(column) {
  const { system } = column;
  if (!system.ready) return fill(column, building(system));
  if (state.like && !system.offers.includes("similar")) return fill(column, note(`${system.name} has no vectors, by which documents are compared.`));
  const feedback = system.offers.includes("feedback") ? [state.feedback, state.from] : [];
  const key = JSON.stringify([state.like || state.q, Boolean(state.like), state.k, state.like ? [] : feedback]);
  if (column.key === key) return column.answer && draw(column);
  column.request?.abort();
  column.request = new AbortController();
  Object.assign(column, { key, answer: null });
  column.section.setAttribute("aria-busy", "true");
  if (!column.section.firstChild) column.section.append(head(system, null));
  try {
    const answer = await api.results(system, state, column.request.signal);
    if (column.key !== key) return;
    Object.assign(column, { answer, results: answer.results });
    column.section.removeAttribute("aria-busy");
    draw(column);
    say(`${system.name}: ${counted(column.results.length, "result")}`);
  } catch (error) {
    if (error.name !== "AbortError" && column.key === key) fill(column, element("p", { class: "error", role: "alert" }, error.message));
  }
}

/** Something in the place of results. */
function fill(column, ...inner) {
  Object.assign(column, { key: "", results: [], answer: null, drawn: "" });
  column.section.removeAttribute("aria-busy");
  column.section.replaceChildren(head(column.system, null), ...inner);
  compare();
}

const note = (text) => element("p", { class: "note" }, text);

function building({ done, total, error }) {
  if (error) return element("p", { class: "error", role: "alert" }, error);
  if (!total) return note("This system is being made ready.");
  return element("div", { class: "note" },
    element("p", {}, `Its index is being built: ${done.toLocaleString("en")} of ${counted(total, "document")}.`),
    element("progress", { max: total, value: done, "aria-label": "Documents in the index" }));
}

/** Draw an answer, unless it is there as it would be drawn: who reads a document comes back to the result that was opened. */
function draw(column) {
  const { system, answer, section } = column;
  const drawn = JSON.stringify([{ ...state, open: "", in: "" }, context.judged, [...context.ticked], context.feedback]);
  if (column.drawn === drawn && column.shown === answer) return;
  Object.assign(column, { drawn, shown: answer });
  const focused = section.contains(document.activeElement) ? document.activeElement.closest(".hit")?.dataset.docno : undefined;
  const list = element("ol", {}, answer.results.map((result) => hit(result, system, context)));
  const inner = [head(system, answer.milliseconds), state.feedback && !state.like && system.offers.includes("feedback") && fedBack(state)];
  section.replaceChildren(...inner.filter(Boolean), answer.results.length ? list : note("No document was found."));
  if (focused !== undefined) section.querySelector(`.hit[data-docno="${CSS.escape(focused)}"] h3 a`)?.focus({ preventScroll: true });
  compare();
}

const fedBack = ({ feedback, from }) => element("p", { class: "scope" },
  `after feedback from ${counted(from.length, "document")} (${feedback}) `, element("a", { href: withChanges({ feedback: "", from: [] }) }, "undo"));

function head(system, milliseconds) {
  const prefix = `${system.name}=`, text = system.text.startsWith(prefix) ? system.text.slice(prefix.length) : system.text;
  return element("header", {}, element("h2", {}, system.name), text !== system.name && element("code", {}, text), milliseconds && times(milliseconds));
}

const inMilliseconds = (number) => `${number < 10 ? number.toFixed(1) : Math.round(number).toLocaleString("en")} ms`;

/** How long it took, and how much of that each stage did. */
function times({ total, stages }) {
  if (stages.length < 2) return element("p", { class: "times" }, inMilliseconds(total));
  const bar = element("span", { class: "stages", "aria-hidden": "true" }, stages.map((stage) => {
    const piece = element("span", { title: `${stage.name}: ${inMilliseconds(stage.milliseconds)}` });
    piece.style.flexGrow = stage.milliseconds;
    return piece;
  }));
  const list = element("span", {}, stages.map((stage) => element("span", { class: "stage" }, `${stage.name} ${inMilliseconds(stage.milliseconds)}`)));
  return element("p", { class: "times" }, inMilliseconds(total), bar, list);
}

/** Mark in every column but the first with results how far its documents moved from there; offer more where there may be more. */
function compare() {
  at("more").hidden = state.k >= MOST || ![...columns.values()].some((column) => column.results.length >= state.k);
  const [first, ...others] = [...columns.values()].filter((column) => column.results.length);
  for (const column of others) {
    for (const item of column.section.querySelectorAll(".hit")) {
      const there = first.results.find((result) => result.docno === item.dataset.docno)?.rank;
      const { text, told, way } = movement(Number(item.dataset.rank), there, first.system.name, first.results.length);
      const moved = item.querySelector(".moved");
      moved.className = `moved ${way}`;
      moved.title = told;
      moved.replaceChildren(element("span", { "aria-hidden": "true" }, text), element("span", { class: "unseen" }, told));
    }
  }
  for (const moved of first?.section.querySelectorAll(".moved") ?? []) moved.replaceChildren();
}
