// The list of queries: what is compared, filtered, sorted; and the keys.
const SHOWN = 500;
let active = 0, limit = SHOWN;

const COLUMNS = [
  ["qid", () => "qid", (query) => data.queries[query].qid],
  ["text", () => "Query", (query) => data.queries[query].text.toLowerCase()],
  ["mine", () => data.systems[chosen.system], (query) => valueOf(query, chosen.system) ?? -1],
  ["theirs", () => data.systems[chosen.other], (query) => valueOf(query, chosen.other) ?? -1],
  ["difference", () => "Difference", (query) => difference(query) ?? 0],
];

function countOutcomes(queries) {
  const counts = { all: queries.length, wins: 0, losses: 0, ties: 0 };
  for (const query of queries) counts[outcome(query)] += 1;
  return counts;
}

function matching() {
  const words = chosen.filter.toLowerCase().split(/\s+/).filter(Boolean);
  return [...data.queries.keys()].filter((number) => {
    const text = `${data.queries[number].qid} ${data.queries[number].text}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function refresh() {
  const found = matching(), counts = countOutcomes(found), key = COLUMNS.find(([name]) => name === chosen.sort)[2];
  const order = new Intl.Collator("en", { numeric: true }).compare;
  const compare = (a, b) => (typeof key(a) === "number" ? key(a) - key(b) : order(key(a), key(b)));
  listed = found.filter((query) => chosen.outcome === "all" || outcome(query) === chosen.outcome);
  listed.sort((a, b) => (chosen.down ? compare(b, a) : compare(a, b)) || a - b);
  active = 0;
  limit = SHOWN;
  document.querySelector(".segments").innerHTML = Object.entries(counts).map(([name, count]) =>
    `<button type="button" data-outcome="${name}" aria-pressed="${chosen.outcome === name}">${name[0].toUpperCase()}${name.slice(1)} ${count.toLocaleString("en")}</button>`).join("");
  document.querySelector("#list thead").innerHTML = `<tr>${COLUMNS.map(([name, title]) => {
    const sorted = chosen.sort === name ? ` aria-sort="${chosen.down ? "descending" : "ascending"}"` : "";
    const arrow = chosen.sort === name ? (chosen.down ? " ↓" : " ↑") : "";
    const look = { qid: ' class="text"', text: ' class="text"', mine: ' class="optional"', theirs: ' class="optional"' }[name] ?? "";
    return `<th scope="col"${look}${sorted}><button type="button" data-sort="${name}">${escaped(title())}${arrow}</button></th>`;
  }).join("")}</tr>`;
  fillList();
  drawChart();
}

function fillList() {
  document.querySelector("#list tbody").innerHTML = listed.slice(0, limit).map((query, place) => {
    const asked = data.queries[query];
    return `<tr tabindex="${place === active ? 0 : -1}" data-place="${place}"><td title="${escaped(asked.qid)}">${escaped(asked.qid)}</td><td class="text">${escaped(asked.text)}</td>` +
      `<td class="optional">${fixed(valueOf(query, chosen.system))}</td><td class="optional">${fixed(valueOf(query, chosen.other))}</td>` +
      `<td class="${{ wins: "won", losses: "lost", ties: "faint" }[outcome(query)]}">${signed(difference(query))}</td></tr>`;
  }).join("") || `<tr><td colspan="5" class="text">No query is like that.</td></tr>`;
  at("printed").textContent = listed.length > 40 ? `The first 40 of ${listed.length.toLocaleString("en")}.` : "";
  at("more").innerHTML = listed.length > limit ? `<button type="button">Show all ${listed.length.toLocaleString("en")}</button>` : "";
}

function activate(place) {
  if (place === null || place < 0 || place >= listed.length) return;
  if (place >= limit) {
    limit = listed.length;
    fillList();
  }
  const rows = document.querySelector("#list tbody").rows;
  rows[active].tabIndex = -1;
  active = place;
  rows[active].tabIndex = 0;
  rows[active].focus();
  rows[active].scrollIntoView({ block: "nearest" });
  point(place);
}

function offer(id, names, value) {
  at(id).innerHTML = names.map((name, number) => `<option value="${number}">${escaped(name)}</option>`).join("");
  at(id).value = chosen[id] = value;
  at(id).addEventListener("change", () => { chosen[id] = Number(at(id).value); refresh(); });
}

const KEYS = { j: 1, ArrowDown: 1, ArrowRight: 1, k: -1, ArrowUp: -1, ArrowLeft: -1 };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const row = event.target.closest("#list tbody tr"), dialog = at("query").open, by = KEYS[event.key];
  if (dialog && by && !["ArrowDown", "ArrowUp"].includes(event.key)) step(by); // these two scroll the texts
  else if (!dialog && by && (row || by && "jk".includes(event.key))) activate(row ? active + by : active);
  else if (!dialog && row && event.key === "Enter") openQuery(Number(row.dataset.place));
  else if (!dialog && event.key === "/") at("filter").focus();
  else return;
  event.preventDefault();
});
document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
document.querySelector(".segments").addEventListener("click", (event) => {
  if (event.target.dataset.outcome) { chosen.outcome = event.target.dataset.outcome; refresh(); document.querySelector(`[data-outcome="${chosen.outcome}"]`).focus(); }
});
document.querySelector("#list thead").addEventListener("click", (event) => {
  const name = event.target.dataset.sort;
  if (!name) return;
  chosen.down = chosen.sort === name ? !chosen.down : !["qid", "text"].includes(name);
  chosen.sort = name;
  refresh();
  document.querySelector(`[data-sort="${name}"]`).focus();
});
document.querySelector("#list tbody").addEventListener("click", (event) => {
  const place = event.target.closest("tr")?.dataset.place;
  if (place !== undefined) openQuery(Number(place));
});
at("more").addEventListener("click", () => { limit = listed.length; fillList(); });
at("filter").addEventListener("input", () => { chosen.filter = at("filter").value; refresh(); });

const base = Math.max(0, data.systems.indexOf(data.baseline));
const mean = (system) => data.queries.reduce((sum, query) => sum + (query.values[system][0] ?? 0), 0);
const others = data.systems.map((_, system) => system).filter((system) => system !== base);
const best = others.reduce((found, system) => (found === null || mean(system) > mean(found) ? system : found), null);
offer("system", data.systems, best ?? base);
offer("other", data.systems, base);
offer("measure", data.measures, 0);
refresh();
