// The difference of each query, as bars in the colour of the better system.
const HEIGHT = 200, LEFT = 44, MIDDLE = HEIGHT / 2, REACH = MIDDLE - 12;

function drawChart() {
  const figure = at("differences"), svg = figure.querySelector("svg"), width = Math.max(200, figure.clientWidth);
  const differences = listed.map((query) => difference(query) ?? 0);
  const most = Math.max(...differences.map(Math.abs), 1e-9);
  const step = (width - LEFT) / Math.max(1, differences.length), gap = step > 4 ? 1 : 0;
  const bars = ["", ""];
  differences.forEach((value, place) => {
    if (value === 0) return;
    const [from, height] = [(LEFT + place * step).toFixed(2), (-value / most * REACH).toFixed(2)];
    bars[value > 0 ? 0 : 1] += `M${from} ${MIDDLE}v${height}h${(step - gap).toFixed(2)}V${MIDDLE}z`;
  });
  const lines = (most > 1e-9 ? [1, 0.5, -0.5, -1] : []).map((share) => {
    const y = MIDDLE - share * REACH;
    return `<line class="grid" x1="${LEFT}" x2="${width}" y1="${y}" y2="${y}"/>` +
      `<text x="${LEFT - 8}" y="${y}" dy=".32em" text-anchor="end">${share > 0 ? "+" : "−"}${(Math.abs(share) * most).toFixed(2)}</text>`;
  });
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.innerHTML = `${lines.join("")}<rect class="at" y="0" width="0" height="${HEIGHT}"/>` +
    [chosen.system, chosen.other].map((system, i) => `<path d="${bars[i]}" fill="${data.looks[system][0]}"/>`).join("") +
    `<line class="grid zero" x1="${LEFT}" x2="${width}" y1="${MIDDLE}" y2="${MIDDLE}"/>`;
  const [mine, theirs] = [data.systems[chosen.system], data.systems[chosen.other]], measure = data.measures[chosen.measure];
  figure.querySelector("figcaption").innerHTML = `${escaped(measure)} of each query` +
    `<span class="faint">above: ${escaped(mine)} is better; below: ${escaped(theirs)}; in the order of the table</span>`;
  const counts = countOutcomes(listed);
  svg.setAttribute("aria-label", `${measure}, ${mine} less ${theirs}: ${counts.wins} wins, ${counts.losses} losses, ${counts.ties} ties`);
}

function placeUnder(event) {
  const box = at("differences").querySelector("svg").getBoundingClientRect();
  const place = Math.floor((event.clientX - box.left - LEFT) / (box.width - LEFT) * listed.length);
  return place >= 0 && place < listed.length ? place : null;
}

function point(place) {
  const bar = at("differences").querySelector(".at"), width = at("differences").querySelector("svg").viewBox.baseVal.width;
  const step = (width - LEFT) / Math.max(1, listed.length);
  bar.setAttribute("x", place === null ? 0 : LEFT + place * step);
  bar.setAttribute("width", place === null ? 0 : Math.max(2, step));
  at("tip").textContent = place === null ? "" : `${signed(difference(listed[place]))}  ${data.queries[listed[place]].text}`;
}

at("differences").querySelector("svg").addEventListener("mousemove", (event) => point(placeUnder(event)));
at("differences").querySelector("svg").addEventListener("mouseleave", () => point(null));
at("differences").querySelector("svg").addEventListener("click", (event) => {
  const place = placeUnder(event);
  if (place !== null) openQuery(place);
});
new ResizeObserver(() => drawChart()).observe(at("differences"));
