// The keys: j and k along a list, h and l to the other systems, "/" for the question, x ticks, m asks for more like this.
import { at } from "./elements.js";

const linkOf = (item) => item?.querySelector("h3 a");

function along(by) {
  const items = [...document.querySelectorAll(".hit")], now = document.activeElement.closest(".hit");
  if (!now) return linkOf(items[0]);
  const beside = by > 0 ? now.nextElementSibling : now.previousElementSibling;
  return linkOf(beside ?? now);
}

/** The result in the next column that stands level with the one that has the focus. */
function across(by) {
  const now = document.activeElement.closest(".hit"), sections = [...document.querySelectorAll("#results section")];
  if (!now) return linkOf(document.querySelector(".hit"));
  const items = [...(sections[sections.indexOf(now.closest("section")) + by]?.querySelectorAll(".hit") ?? [])];
  return linkOf(items.find((item) => item.dataset.rank === now.dataset.rank) ?? items.at(-1));
}

const MOVES = { j: () => along(1), k: () => along(-1), h: () => across(-1), l: () => across(1) };
const PRESSES = { x: ".doings input", m: "[data-like]" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || at("document").open) return;
  const writes = event.target.matches("input:not([type=checkbox]), textarea, select");
  if (writes && event.key === "Escape") event.target.blur();
  else if (writes) return;
  else if (event.key === "/") at("question").select();
  else if (MOVES[event.key]) {
    const link = MOVES[event.key]();
    link?.focus({ preventScroll: true });
    link?.closest(".hit").scrollIntoView({ block: "nearest", inline: "nearest" });
  } else if (PRESSES[event.key]) document.activeElement.closest(".hit")?.querySelector(PRESSES[event.key])?.click();
  else return;
  event.preventDefault();
});
