// One result: its rank and how it moved, its title, the passage that scored best, and what can be done with it.
import { withChanges } from "./address.js";
import { element } from "./elements.js";
import { marked } from "./words.js";

export const scoreText = (score) => (score === null ? "–" : score.toLocaleString("en", { maximumSignificantDigits: 5, useGrouping: false }));

/** A judgement as a badge, or nothing where there is none. */
export function badge(docno, judged) {
  const label = judged.judgements[docno];
  if (label === undefined) return null;
  const good = label >= judged.relevant;
  return element("span", { class: `badge ${good ? "good" : "bad"}`, title: `Judged: label ${label}` }, `${good ? "relevant" : "not relevant"}${label === Number(good) ? "" : ` ${label}`}`);
}

/** A result as a list item. `known` has stems (of the query's words), judged, ticked, and whether ticks lead anywhere. */
export function hit(result, system, known) {
  const { docno, rank, passage } = result, title = result.title || docno;
  const opens = element("a", { href: withChanges({ open: docno, in: system.name }) }, marked(title, result.title ? known.stems : new Set()));
  const facts = [
    result.title && element("span", { class: "docno" }, docno),
    passage && element("span", { title: `Characters ${passage.start} to ${passage.end}` }, `passage ${passage.number + 1}`),
    element("span", { class: "score", title: "Score" }, scoreText(result.score)),
    badge(docno, known.judged),
  ];
  return element("li", { class: "hit", "data-docno": docno, "data-rank": rank },
    element("div", { class: "place" }, element("span", { class: "rank" }, String(rank + 1)), element("span", { class: "moved" })),
    element("div", { class: "what" },
      element("h3", {}, opens),
      element("p", { class: "snippet" }, marked(result.snippet.replace(/\s+/g, " "), known.stems)),
      element("p", { class: "facts" }, facts, doings(result, title, system, known)),
    ),
  );
}

function doings({ docno }, title, system, { ticked, feedback }) {
  const box = element("input", { type: "checkbox", value: docno, "aria-label": `Tick for feedback: ${title}` });
  box.checked = ticked.has(docno);
  return element("span", { class: "doings" },
    system.offers.includes("similar") && element("a", { href: withChanges({ like: docno, feedback: "", from: [], open: "", in: "" }), "data-like": true, "aria-label": `More like ${title}` }, "more like this"),
    feedback && element("label", {}, box, "tick"),
  );
}

/** How far a result moved from its rank elsewhere: "↑ 7". Ranks from 0; `there` is undefined where it is not among those shown. */
export function movement(here, there, other, shown) {
  if (there === undefined) return { text: "new", told: `not among the first ${shown} of ${other}`, way: "new" };
  if (here === there) return { text: "=", told: `rank ${there + 1} in ${other} too`, way: "same" };
  const by = Math.abs(here - there);
  return { text: `${here < there ? "↑" : "↓"} ${by}`, told: `rank ${there + 1} in ${other}`, way: here < there ? "up" : "down" };
}
