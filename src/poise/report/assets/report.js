/* The report: zoom over all charts, the way between findings and charts, the order of the page. */

function zoom(group, [a, b]) {
  const [low, high] = group.full;
  const width = Math.min(Math.max(b - a, Math.min(2, high - low)), high - low);
  const from = Math.min(Math.max((a + b - width) / 2, low), high - width);
  group.zoom = width >= high - low ? group.full : [from, from + width];
  for (const panel of group.panels) {
    panel.chart.setScale("x", { min: group.zoom[0], max: group.zoom[1] });
    panel.mark();
    if (panel.reset) panel.reset.disabled = group.zoom === group.full;
  }
}

function reveal(id) {
  const card = document.getElementById(id);
  for (let up = card; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
  card.scrollIntoView({ behavior: "smooth", block: "center" });
  card.classList.add("flash");
  setTimeout(() => card.classList.remove("flash"), 1500);
}

function show(id) {
  const one = found.get(id);
  const group = groups[0];
  const panel = group.panels.find((other) => other.spec.id.startsWith("terms")) ?? group.panels[0];
  selected = id;
  one.terms.forEach((name) => panel.hidden.delete(name));
  panel.build();
  const a = Math.min(...one.spans.map((span) => span[0]));
  const b = Math.max(...one.spans.map((span) => span[1]));
  const margin = Math.max((b - a) * 0.3, (group.full[1] - group.full[0]) * 0.03);
  zoom(group, [a - margin, b + margin]);
  panel.root.scrollIntoView({ behavior: "smooth", block: "center" });
  panel.plot.focus({ preventScroll: true });
}

/* ---- further series: one small chart a name, made when the section is opened ---- */

function further() {
  if (!data.small.length) return;
  const place = el("div", { class: "smalls" });
  const said = el("p", { class: "quiet" });
  let panels = [];
  const fill = (wanted) => {
    for (const one of panels) {
      one.chart.destroy();
      one.group.panels.splice(one.group.panels.indexOf(one), 1);
    }
    place.replaceChildren();
    const matching = data.small.filter((one) => one.title.toLowerCase().includes(wanted));
    panels = matching.slice(0, SHOWN).map((one) => new Panel(one, place, true));
    const more = matching.length - panels.length;
    said.textContent = more > 0 ? `${more.toLocaleString("en-US")} more; search to see them.` : "";
  };
  const search = data.small.length > SHOWN && el("input", { type: "search", placeholder: `search ${data.small.length} names`, "aria-label": "Search further series", oninput: (event) => fill(event.target.value.toLowerCase()) });
  const section = el("details", { id: "further", ontoggle: () => { if (section.open && !panels.length) fill(""); } },
    el("summary", { text: `Statistics and counts (${data.small.length.toLocaleString("en-US")})` }), search || null, place, said);
  home.append(section);
}

/* Two charts a row; the terms, many names, and a chart without a neighbour take the whole row. */
function pairUp() {
  for (const place of document.querySelectorAll(".panels")) {
    let lone = null;
    for (const one of place.children) {
      if (one.id.startsWith("terms") || one.classList.contains("many")) {
        one.classList.add("wide");
        if (lone) lone.classList.add("wide");
        lone = null;
      } else lone = lone ? null : one;
    }
    if (lone) lone.classList.add("wide");
  }
}

function begin() {
  let last = 0;
  let place = el("div", { class: "panels" });
  home.append(place);
  for (const spec of data.panels) {
    if (spec.axis !== last) {
      last = spec.axis;
      place = el("div", { class: "panels" });
      home.append(el("h3", {}, el("bdi", { text: `By ${data.axes[last].name}` })), place);
    }
    new Panel(spec, place);
  }
  pairUp();
  const thinned = (spec) => spec.series.some((one) => one.count > one.y.length);
  if (data.panels.some(thinned) || data.small.some(thinned))
    home.append(el("p", { class: "quiet", text: "Long series are thinned: of every few records the smallest and the largest value are drawn, and everything that is not finite is marked at the top edge." }));
  if (!data.panels.length) home.append(el("p", { class: "quiet", text: "Nothing to draw." }));
  further();
  if (data.left_out) home.append(el("p", { class: "quiet", text: `${data.left_out.toLocaleString("en-US")} more series are not drawn.` }));
  for (const button of document.querySelectorAll("button.show")) {
    const one = found.get(button.dataset.finding);
    if (!one || !one.spans.length || !data.panels.length || data.panels[0].axis !== 0) continue;
    button.hidden = false;
    button.nextElementSibling.hidden = true;
    button.addEventListener("click", () => show(one.id));
  }
  const rebuild = () => groups.forEach((group) => group.panels.forEach((panel) => panel.build()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not(#further)").forEach((one) => { one.open = true; });
    root.classList.add("printing"); // dark charts waste ink
    rebuild();
  });
  addEventListener("afterprint", () => { root.classList.remove("printing"); rebuild(); });
  requestAnimationFrame(() => setTimeout(() => { root.dataset.ready = "true"; }, 0));
}

begin();
