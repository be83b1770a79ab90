// What the other scripts share: the data, what is chosen, and small helpers.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const chosen = { system: 0, other: 0, measure: 0, filter: "", outcome: "all", sort: "difference", down: true };
let listed = []; // numbers of the queries shown, in their order

const escaped = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const fixed = (value) => (value === null ? "–" : value.toFixed(4));
const signed = (value) => (value === null ? "–" : (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(4));
const valueOf = (query, system) => data.queries[query].values[system][chosen.measure];
const swatch = (system) => `<svg class="swatch" viewBox="0 0 24 8" aria-hidden="true"><line x1="1" y1="4" x2="23" y2="4" ${data.looks[system][1]}/></svg>`;

function difference(query) {
  const [mine, theirs] = [valueOf(query, chosen.system), valueOf(query, chosen.other)];
  return mine === null || theirs === null ? null : mine - theirs;
}

function outcome(query) {
  const found = difference(query);
  return found > 0 ? "wins" : found < 0 ? "losses" : "ties";
}

function sayTheme() {
  const theme = document.documentElement.dataset.theme;
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  at("theme").setAttribute("aria-pressed", dark);
  return dark;
}

at("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = sayTheme() ? "light" : "dark";
  sayTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", sayTheme);
sayTheme();
