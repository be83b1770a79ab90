// Lines between the places of one document in the systems, while it is pointed at or has the focus.
import { at } from "./elements.js";

const SVG = "http://www.w3.org/2000/svg";

function connect(docno) {
  const items = [...at("results").querySelectorAll(".hit")], ground = at("results").getBoundingClientRect();
  for (const item of items) item.classList.toggle("same", item.dataset.docno === docno);
  const places = items.filter((item) => item.dataset.docno === docno).map((item) => item.getBoundingClientRect());
  const paths = places.slice(1).map((to, number) => {
    const from = places[number], path = document.createElementNS(SVG, "path");
    const [x1, y1, x2, y2] = [from.right - ground.left, from.top + 22 - ground.top, to.left - ground.left, to.top + 22 - ground.top];
    const middle = (x1 + x2) / 2;
    path.setAttribute("d", `M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`);
    return path;
  });
  at("lines").replaceChildren(...paths);
}

const pointed = (event) => connect(event.target.closest?.(".hit")?.dataset.docno);
at("results").addEventListener("mouseover", pointed);
at("results").addEventListener("focusin", pointed);
at("results").addEventListener("mouseleave", () => connect());
at("results").addEventListener("focusout", () => connect());
