// The page: a state in, what it shows out.
import { STEP, current, follow, go, withChanges } from "./address.js";
import * as api from "./api.js";
import * as columns from "./columns.js";
import { at, counted, element } from "./elements.js";
import "./keyboard.js";
import "./lines.js";
import * as reading from "./reading.js";
import * as suggestions from "./suggestions.js";

const AT_FIRST = 3; // systems that are shown unless others are chosen
const POLL = 1000; // milliseconds between looks at systems that are not ready
const NONE = { judgements: {}, relevant: 1 };
const known = { judged: NONE, ticked: new Set(), feedback: false };
let served = { systems: [] };
let question = "", fed = ""; // that are shown: the question, the documents of the feedback

const chosen = (state) => {
  const named = served.systems.filter((system) => state.system.includes(system.name));
  return named.length ? named : served.systems.slice(0, AT_FIRST);
};

function show(state) {
  const searches = Boolean(state.q || state.like), systems = chosen(state);
  known.feedback = systems.some((system) => system.offers.includes("feedback"));
  document.title = state.q ? `${state.q} – ${served.dataset}` : `${served.dataset} – search`;
  if (state.q !== question || state.from.join(" ") !== fed) known.ticked = new Set(state.from);
  if (state.q !== question) {
    at("question").value = question = state.q;
    judge();
  }
  fed = state.from.join(" ");
  for (const box of at("systems").querySelectorAll("input")) box.checked = systems.some((system) => system.name === box.value);
  at("start").hidden = searches;
  at("scope").hidden = !state.like;
  if (state.like) at("scope").replaceChildren("Documents like ", element("b", {}, state.like), " ", element("a", { href: withChanges({ like: "" }) }, state.q ? "back to the question" : "clear"));
  columns.show(searches ? systems : served.systems.filter((system) => !system.ready), state, known);
  reading.show(state, served.systems.find((system) => system.name === state.in), known);
  showTicked();
}

async function judge() {
  const asked = question;
  known.judged = NONE;
  const found = asked ? await api.judgements(asked).catch(() => NONE) : NONE;
  if (asked !== question || !found.qid) return;
  known.judged = found;
  show(current());
}

function showTicked() {
  const count = known.ticked.size;
  at("feedback").hidden = !count || !known.feedback;
  at("ticked").textContent = `${counted(count, "document")} ticked: search again with feedback by`;
}

function list() {
  at("collection").textContent = `${served.dataset} · ${counted(served.documents, "document")}`;
  const boxes = served.systems.map((system) => element("label", { title: system.text }, element("input", { type: "checkbox", value: system.name }), system.name));
  at("systems").replaceChildren(at("systems").firstElementChild, ...boxes);
  at("systems").hidden = served.systems.length < 2;
}

async function watch() {
  served = await api.systems().catch(() => served);
  show(current());
  if (served.systems.some((system) => !system.ready && !system.error)) setTimeout(watch, POLL);
}

function unlocking() {
  const input = element("input", { type: "password", "aria-label": "Token", autocomplete: "off", required: true });
  const form = element("form", { class: "unlocking" }, element("p", {}, "This server asks for a token."), input, element("button", {}, "Go on"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    api.keep(input.value.trim());
    begin();
  });
  return form;
}

async function begin() {
  try {
    served = await api.systems();
  } catch (error) {
    at("start").hidden = false;
    at("start").replaceChildren(error.status === 401 ? unlocking() : element("p", { class: "error", role: "alert" }, error.message));
    return;
  }
  list();
  follow(show);
  if (served.systems.some((system) => !system.ready)) setTimeout(watch, POLL);
  if (!current().q && !current().like) at("question").focus();
  const examples = await api.queries("", 6).catch(() => []);
  const links = examples.map(({ query }) => element("li", {}, element("a", { href: withChanges({ q: query, k: STEP, like: "", feedback: "", from: [], open: "", in: "" }) }, query)));
  at("start").replaceChildren(...(links.length ? [element("h2", {}, "Questions of this collection"), element("ul", {}, links)] : []));
}

at("asking").addEventListener("submit", (event) => {
  event.preventDefault();
  suggestions.close();
  at("question").blur(); // keys move through the results from now on
  go({ q: at("question").value.trim(), k: STEP, like: "", feedback: "", from: [], open: "", in: "" });
});
at("systems").addEventListener("change", () => {
  const names = [...at("systems").querySelectorAll("input:checked")].map((box) => box.value);
  go({ system: names });
});
at("results").addEventListener("change", (event) => {
  if (event.target.type !== "checkbox") return;
  known.ticked[event.target.checked ? "add" : "delete"](event.target.value);
  for (const box of at("results").querySelectorAll(".doings input")) box.checked = known.ticked.has(box.value);
  showTicked();
});
at("feedback").addEventListener("submit", (event) => {
  event.preventDefault();
  go({ feedback: event.submitter.value, from: [...known.ticked], like: "", open: "", k: STEP });
});
at("feedback").addEventListener("reset", () => {
  known.ticked.clear();
  go({ feedback: "", from: [] });
  show(current());
});
at("more").addEventListener("click", (event) => { if (event.target.matches("button")) go({ k: current().k + STEP }); });

begin();
