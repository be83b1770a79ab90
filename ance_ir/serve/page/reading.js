// A whole document, with its passages coloured by score.
import { withChanges, go } from "./address.js";
import * as api from "./api.js";
import { at, counted, element } from "./elements.js";
import { badge, scoreText } from "./hits.js";
import { marked, stemsOf } from "./words.js";

const dialog = at("document");
let shown = "";

/** Open the document of the state, or close the one that is open. */
export async function show(state, system, known) {
  const key = JSON.stringify([state.open, state.in, state.q]);
  if (!state.open || !system) {
    shown = "";
    if (dialog.open) dialog.close();
    return;
  }
  if (key === shown) return;
  shown = key;
  fill(state.open, system, element("p", { class: "note" }, "…"));
  if (!dialog.open) dialog.showModal();
  try {
    const found = await api.text(system.name, state.open, state.like ? "" : state.q);
    if (key === shown) draw(found, state, system, known);
  } catch (error) {
    if (key === shown) fill(state.open, system, element("p", { class: "error", role: "alert" }, error.message));
  }
}

function fill(title, system, facts, ...body) {
  const close = element("a", { href: withChanges({ open: "", in: "" }), class: "close", "aria-label": "Close" }, "✕");
  dialog.replaceChildren(element("div", { class: "head" }, element("div", {}, element("h2", { id: "document-title", tabindex: -1 }, title), facts), close), ...body);
  at("document-title").focus({ preventScroll: true });
}

function draw(found, state, system, known) {
  const stems = stemsOf(state.like ? "" : state.q), inUnits = unitsOf(found.text);
  const scored = found.passages.filter(({ start, end, score }) => score !== null && end > start) // a passage may lie in the title
    .map((passage) => ({ ...passage, start: inUnits(passage.start), end: inUnits(passage.end) }));
  const facts = element("p", { class: "facts" },
    found.title && element("span", { class: "docno" }, found.docno), badge(found.docno, known.judged),
    element("span", {}, system.name),
    scored.length > 0 && element("span", {}, counted(scored.length, "passage")),
    scored.length > 1 && legend(scored),
    system.offers.includes("similar") && element("a", { href: withChanges({ like: found.docno, feedback: "", from: [], open: "", in: "" }) }, "more like this"));
  const text = element("div", { class: "text", tabindex: 0, role: "region", "aria-label": "Text" }, pieces(found.text, scored, stems));
  fill(found.title || found.docno, system, facts, text);
  const best = text.querySelector(".best");
  if (best && scored.length > 1) best.scrollIntoView({ block: "center" });
}

const range = (passages) => passages.reduce(([low, high], { score }) => [Math.min(low, score), Math.max(high, score)], [Infinity, -Infinity]);

function legend(passages) {
  const [low, high] = range(passages);
  return element("span", { class: "legend" }, scoreText(low), element("span", { class: "scale", role: "img", "aria-label": "to" }), scoreText(high));
}

/** From characters, in which the server counts, to the units of a string, of which some characters take two. */
function unitsOf(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (place) => place;
  const units = [0];
  for (const character of text) units.push(units.at(-1) + character.length);
  return (place) => units[Math.min(place, units.length - 1)];
}

/** The text in pieces, each as warm as the best passage that it is in; a passage begins with its number and score. */
function pieces(text, passages, stems) {
  if (!passages.length) return marked(text, stems);
  const [low, high] = range(passages);
  const ends = [...new Set([0, text.length, ...passages.flatMap(({ start, end }) => [start, end])])].filter((end) => end <= text.length).sort((a, b) => a - b);
  return ends.slice(0, -1).map((start, number) => {
    const end = ends[number + 1], over = passages.filter((passage) => passage.start < end && passage.end > start);
    const warmest = over.length ? Math.max(...over.map((passage) => passage.score)) : low;
    const begins = over.filter((passage) => passage.start === start);
    const heat = !over.length ? 0 : high > low ? (warmest - low) / (high - low) : 1;
    const piece = element("span", { class: over.length && warmest === high ? "piece best" : "piece" },
      passages.length > 1 && begins.map((passage) => element("small", { title: "Passage and score" }, `${passage.number + 1} · ${scoreText(passage.score)}`)),
      marked(text.slice(start, end), stems));
    piece.style.setProperty("--heat", heat.toFixed(3));
    return piece;
  });
}

dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });

function close() {
  go({ open: "", in: "" });
}
