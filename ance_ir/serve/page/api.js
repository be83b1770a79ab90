// The server's answers. Its token, where it asks for one, stays with this tab.
const TOKEN = "ance_ir token";
export const keep = (token) => sessionStorage.setItem(TOKEN, token);

/** An error of which `status` is the HTTP status. */
const refused = (status, message) => Object.assign(new Error(message), { status });

async function asked(path, { headers = {}, ...options } = {}) {
  const token = sessionStorage.getItem(TOKEN), authorized = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(path, { headers: { ...headers, ...authorized }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw refused(response.status, answer.error ?? `The server answered ${response.status}.`);
  return answer;
}

const posted = (path, body, signal) =>
  asked(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
const part = encodeURIComponent;

export const systems = () => asked("v1/systems");
export const queries = (prefix, limit, signal) => asked(`v1/queries?prefix=${part(prefix)}&limit=${limit}`, { signal });
export const judgements = (query) => asked(`v1/judgements?query=${part(query)}`);
export const text = (system, docno, query) => asked(`v1/${part(system)}/documents/${part(docno)}${query ? `?query=${part(query)}` : ""}`);

/** What a system answers to a state: documents like one, results after feedback, or those of the question. */
export function results(system, state, signal) {
  const path = (kind) => `v1/${part(system.name)}/${kind}`;
  if (state.like) return posted(path("similar"), { docno: state.like, k: state.k }, signal);
  if (state.feedback && system.offers.includes("feedback")) {
    return posted(path("feedback"), { query: state.q, docnos: state.from, method: state.feedback, k: state.k }, signal);
  }
  return posted(path("search"), { query: state.q, k: state.k }, signal);
}
