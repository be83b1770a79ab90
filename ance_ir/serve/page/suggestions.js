// The collection's own queries, as one types (a combobox as in the ARIA Authoring Practices Guide).
import * as api from "./api.js";
import { at, element } from "./elements.js";

const SHOWN = 8, WAIT = 90; // milliseconds
const input = at("question"), list = at("suggestions");
let chosen = -1, timer = 0, request = null;

export function close() {
  clearTimeout(timer);
  request?.abort();
  list.hidden = true;
  chosen = -1;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

async function suggest() {
  request?.abort();
  request = new AbortController();
  const prefix = input.value.trim();
  const found = await api.queries(prefix, SHOWN, request.signal).catch(() => null);
  if (found === null || prefix !== input.value.trim() || document.activeElement !== input) return;
  chosen = -1;
  list.replaceChildren(...found.map(({ query }, number) => element("li", { id: `suggestion-${number}`, role: "option", "aria-selected": "false" }, query)));
  list.hidden = found.length === 0;
  input.setAttribute("aria-expanded", String(found.length > 0));
  input.removeAttribute("aria-activedescendant");
}

function choose(number) {
  const options = [...list.children];
  chosen = (number + options.length + 1) % (options.length + 1);
  options.forEach((option, place) => option.setAttribute("aria-selected", String(place === chosen)));
  if (chosen === options.length) {
    chosen = -1;
    input.removeAttribute("aria-activedescendant");
    return;
  }
  input.setAttribute("aria-activedescendant", options[chosen].id);
  options[chosen].scrollIntoView({ block: "nearest" });
}

function take(text) {
  input.value = text;
  close();
  input.form.requestSubmit();
}

input.addEventListener("input", () => {
  clearTimeout(timer);
  if (input.value.trim()) timer = setTimeout(suggest, WAIT);
  else close();
});
input.addEventListener("blur", close);
input.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (list.hidden) suggest();
    else choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? list.children.length - 1 : chosen - 1);
  } else if (event.key === "Enter" && chosen >= 0) take(list.children[chosen].textContent);
  else if (event.key === "Escape" && !list.hidden) close();
  else return;
  event.preventDefault();
  event.stopPropagation();
});
list.addEventListener("mousedown", (event) => {
  event.preventDefault(); // the question keeps the focus
  const option = event.target.closest("li");
  if (option) take(option.textContent);
});
