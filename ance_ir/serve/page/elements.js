// Elements, made of text nodes alone: what a document or a query holds is never read as HTML.
export const at = (id) => document.getElementById(id);

/** An element, its attributes (a true one is set, an absent or false one left out) and what is in it: elements and texts. */
export function element(name, attributes = {}, ...inner) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...inner.flat().filter((part) => part !== null && part !== undefined && part !== false));
  return made;
}

export const counted = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** Say something to who listens to the page. */
export const say = (text) => { at("said").textContent = text; };
