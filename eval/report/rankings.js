// One query: the rankings of two systems side by side.
const TOP = 10;
let opened = null; // place of the query in the list

function movement(here, there) {
  if (!there) return "not found there";
  if (here === there) return "= same rank";
  return `${here < there ? "▲" : "▼"} ${Math.abs(here - there)} <span>(there ${there})</span>`;
}

function hit(row, system, other) {
  const [number, label, ranks, scores] = row, [docno, title, text] = data.docs[number];
  const good = label !== null && label >= data.relevant;
  const judged = label === null ? "not judged" : `label ${label}`;
  return `<li class="hit${good ? " good" : ""}" data-doc="${number}"><span class="rank">${ranks[system]}</span><div>` +
    `<div class="facts"><span class="docno">${escaped(docno)}</span><span class="label">${judged}</span>` +
    `<span>score ${scores[system] === null ? "–" : scores[system]}</span>${system === other ? "" : `<span>${movement(ranks[system], ranks[other])}</span>`}</div>` +
    `${title ? `<p class="title">${escaped(title)}</p>` : ""}<p class="body">${escaped(text) || "<i>no text at hand</i>"}</p></div></li>`;
}

function side(query, system, other) {
  const rows = query.rows.filter((row) => row[2][system]).sort((a, b) => a[2][system] - b[2][system]);
  const first = rows.find((row) => row[1] !== null && row[1] >= data.relevant);
  const top = rows.filter((row) => row[2][system] <= TOP).map((row) => hit(row, system, other)).join("");
  const found = query.found[system];
  let rest = "";
  if (!found) rest = `<li class="gap">no results</li>`;
  else if (first && first[2][system] > TOP) rest = `<li class="gap">first relevant, of ${found.toLocaleString("en")} results</li>${hit(first, system, other)}`;
  else if (!first) rest = `<li class="gap">no relevant document in ${found.toLocaleString("en")} results</li>`;
  const value = query.values[system][chosen.measure];
  return `<div><h3><span class="name">${swatch(system)}${escaped(data.systems[system])}</span><b>${fixed(value)}</b></h3><ol>${top}${rest}</ol></div>`;
}

function fill(place) {
  opened = place;
  const number = listed[place], query = data.queries[number];
  const known = `${query.relevant} relevant document${query.relevant === 1 ? "" : "s"} known`;
  at("query").innerHTML = `<div class="head"><div><h2 id="asked" tabindex="-1">${escaped(query.text)}</h2><div class="steps"><button type="button" data-do="whole" aria-pressed="${at("query").classList.contains("whole")}">Whole texts</button>` +
    `<button type="button" data-do="previous" aria-label="Previous query"${place ? "" : " disabled"}>←</button>` +
    `<button type="button" data-do="next" aria-label="Next query"${place + 1 < listed.length ? "" : " disabled"}>→</button>` +
    `<button type="button" data-do="close" aria-label="Close">✕</button></div></div>` +
    `<p>${escaped(query.qid)} · ${known} · ${escaped(data.measures[chosen.measure])} ` +
    `<span class="${{ wins: "won", losses: "lost", ties: "" }[outcome(number)]}">${signed(difference(number))}</span> · ${place + 1} of ${listed.length.toLocaleString("en")}</p></div>` +
    `<div class="sides">${side(query, chosen.system, chosen.other)}${chosen.system === chosen.other ? "" : side(query, chosen.other, chosen.system)}</div>`;
  at("query").scrollTop = 0;
  at("asked").focus({ preventScroll: true });
}

function openQuery(place) {
  if (!at("query").open) at("query").showModal();
  fill(place);
}

function step(by) {
  const place = opened + by;
  if (place >= 0 && place < listed.length) fill(place);
}

at("query").addEventListener("click", (event) => {
  const asked = event.target.closest("[data-do]")?.dataset.do;
  if (asked === "close" || event.target === at("query")) at("query").close();
  else if (asked === "next") step(1);
  else if (asked === "previous") step(-1);
  else if (asked === "whole") event.target.setAttribute("aria-pressed", at("query").classList.toggle("whole"));
});
at("query").addEventListener("mouseover", (event) => {
  const number = event.target.closest(".hit")?.dataset.doc;
  for (const item of at("query").querySelectorAll(".hit")) item.classList.toggle("same", item.dataset.doc === number);
});
at("query").addEventListener("close", () => activate(opened));
