// What the page shows is in its address: it can be shared, and the back button works.
const ONE = ["q", "like", "feedback", "open", "in"];
export const STEP = 10, MOST = 100; // results of each system

/**
 * The state: q (the question), system (names of those that are shown; none: those at first), k (results of each), like (a document that
 * others are compared with), feedback (its method) from (documents), open (a document) in (a system).
 */
export function current() {
  const given = new URLSearchParams(location.search);
  const state = Object.fromEntries(ONE.map((name) => [name, given.get(name) ?? ""]));
  const k = Number(given.get("k"));
  return { ...state, q: state.q.trim(), system: given.getAll("system"), from: given.getAll("from"), k: Number.isInteger(k) && k > 0 ? Math.min(k, MOST) : STEP };
}

export function addressOf(state) {
  const written = new URLSearchParams();
  for (const name of ONE) if (state[name]) written.set(name, state[name]);
  for (const name of ["system", "from"]) for (const value of state[name] ?? []) written.append(name, value);
  if (state.k && state.k !== STEP) written.set("k", state.k);
  const text = written.toString();
  return text ? `?${text}` : "./";
}

/** The address of the current state with some changes. */
export const withChanges = (changes) => addressOf({ ...current(), ...changes });

let shown = () => {};

/** Call a function with the state, now and whenever it changes. */
export function follow(show) {
  shown = () => show(current());
  addEventListener("popstate", shown);
  shown();
}

export function go(changes) {
  const address = withChanges(changes);
  if (new URL(address, location.href).href !== location.href) history.pushState(null, "", address);
  shown();
}

// A link of this page changes the state; with a modifier key it opens in a new tab, as links do.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='?'], a[href='./']");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  shown();
});
