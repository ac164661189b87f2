/* One chart with its legend, marks and controls. */

class Panel {
  constructor(spec, place, small = false) {
    this.spec = spec;
    this.small = small;
    this.shares = spec.kind === "stack" || spec.percent === true;
    this.group = groups[spec.axis];
    this.weighted = false;
    this.scale = null;
    this.names = [...new Set(spec.series.map((one) => one.name))];
    this.hidden = new Set();
    this.away = new Set(); // splits that are switched off
    this.rows = new Map();
    this.tints = new Map(spec.series.map((one) => [one, ""]));
    this.plot = el("div", { class: "plot", tabindex: small ? null : "0", role: "group", "aria-label": `Chart: ${spec.title}. Drag or use the plus and minus keys to zoom, arrow keys to move, 0 to reset.`, onkeydown: (event) => this.key(event) });
    this.status = el("p", { class: "status" });
    this.lanes = small || this.spec.kind === "stack" || spec.axis !== 0 ? null : el("div", { class: "lanes" });
    const many = this.names.length > SHOWN;
    if (many && spec.kind !== "stack") this.first();
    if (!small && spec.kind === "lines")
      for (const name of [...this.names.filter((one) => !this.hidden.has(one)), ...this.names])
        if (!colours.has(name) && spec.series.some((one) => one.name === name && !one.total)) colours.set(name, colours.size);
    for (const name of small ? this.names : []) if (!colours.has(name)) colours.set(name, colours.size);
    const drawnNames = this.names.filter((name) => spec.series.some((one) => one.name === name && !one.total));
    this.hues = huesOf(drawnNames);
    this.root = el("div", { class: many ? "panel many" : "panel", id: spec.id }, this.head(),
      small ? null : el("p", { class: "noted", text: spec.note ?? "" }), this.status,
      el("div", { class: "body" }, el("div", {}, this.lanes, this.plot), small ? null : this.legend(many)));
    place.append(this.root);
    this.group.panels.push(this);
    this.build();
    new ResizeObserver(() => this.fit()).observe(this.plot);
  }

  first() {
    const named = new Set(data.findings.flatMap((one) => one.terms));
    const worth = (name) => {
      const one = this.spec.series.find((other) => other.name === name);
      return one.total ? 2 : named.has(name) ? 1 : 0;
    };
    const order = [...this.names].sort((a, b) => worth(b) - worth(a));
    this.hidden = new Set(order.slice(SHOWN));
    this.names = order;
  }

  head() {
    const head = el("div", { class: "head" }, el("h3", {}, el("bdi", { text: this.spec.title })));
    if (this.small) return head;
    const weights = this.spec.series.some((one) => one.weight != null || one.wx);
    if (weights && this.spec.series.some((one) => one.wx || (one.weight != null && one.weight !== 1)))
      head.append(el("button", { type: "button", "aria-pressed": "false", text: "times weight", title: "Multiply every term by its weight in the total", onclick: (event) => {
        this.weighted = !this.weighted;
        event.target.setAttribute("aria-pressed", String(this.weighted));
        this.build();
      } }));
    const splits = [...new Set(this.spec.series.map((one) => one.split))];
    if (splits.length > 1)
      for (const split of splits)
        head.append(el("button", { type: "button", "aria-pressed": "true", text: split, title: "Show or hide this split", onclick: (event) => {
          if (!this.away.delete(split)) this.away.add(split);
          event.target.setAttribute("aria-pressed", String(!this.away.has(split)));
          this.build();
        } }));
    if (this.spec.kind === "lines") {
      this.select = el("select", { "aria-label": `Vertical axis of ${this.spec.title}`, onchange: () => { this.scale = this.select.value; this.build(); } },
        ...[["linear", "linear axis"], ["log", "log axis"], ["symlog", "symmetric log axis"]].map(([value, text]) => el("option", { value, text })));
      head.append(this.select);
    }
    this.reset = el("button", { type: "button", text: this.group.axis.power ? "whole axis" : "whole run", disabled: true, title: "Undo the zoom", onclick: () => zoom(this.group, this.group.full) });
    head.append(this.reset);
    return head;
  }

  legend(many) {
    const list = el("ul");
    for (const name of this.names) {
      const of = this.spec.series.filter((one) => one.name === name);
      const bad = of.reduce((sum, one) => sum + one.bad.reduce((s, g) => s + g[2] + g[3] + g[4], 0), 0);
      const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
      const value = el("span", { class: "value" });
      const button = el("button", { type: "button", "aria-pressed": String(!this.hidden.has(name)), title: name, onclick: () => {
        if (!this.hidden.delete(name)) this.hidden.add(name);
        this.build();
      } }, swatch, el("bdi", { class: "label", text: name }),
        value, bad > 0 && el("span", { class: "badge", text: `${bad.toLocaleString("en-US")} not finite` }));
      button.addEventListener("mouseenter", () => this.focus(name));
      button.addEventListener("mouseleave", () => this.focus(null));
      this.rows.set(name, { button, swatch, value });
      list.append(el("li", {}, button));
    }
    const legend = el("div", { class: "legend" });
    if (many) {
      legend.append(el("input", { type: "search", placeholder: `search ${this.names.length} names`, "aria-label": `Search the names of ${this.spec.title}`, oninput: (event) => {
        const wanted = event.target.value.toLowerCase();
        for (const [name, row] of this.rows) row.button.parentElement.hidden = !name.toLowerCase().includes(wanted);
      } }));
      const set = (text, title, hidden) => el("button", { type: "button", text, title, onclick: () => { hidden(); this.build(); } });
      const listed = () => this.names.filter((name) => !this.rows.get(name).button.parentElement.hidden);
      legend.append(el("div", { class: "tools" },
        set("show listed", "Show all names that the search lists", () => listed().forEach((name) => this.hidden.delete(name))),
        set("hide listed", "Hide all names that the search lists", () => listed().forEach((name) => this.hidden.add(name))),
        set("reset", "Totals and terms of findings first", () => this.first())));
    }
    legend.append(list);
    return legend;
  }

  focus(name) {
    if (!this.chart) return;
    const at = name == null ? -1 : this.visible.findIndex((one) => one.name === name);
    this.chart.setSeries(at < 0 ? null : at + 1, { focus: at >= 0 }, false);
  }

  axisType(values) {
    const positive = values.every((v) => v > 0);
    let wanted = this.scale ?? this.spec.scale;
    if (wanted === "log" && !positive) wanted = "symlog";
    if (this.select) {
      this.select.value = wanted;
      this.select.options[1].disabled = !positive;
    }
    if (wanted === "log") return { distr: 3, log: 10 };
    const range = (u, low, high) => {
      const [from, to] = low == null ? [0, 1] : uPlot.rangeAsinh(low, high, 10, true);
      return [low >= 0 ? 0 : from, to];
    };
    if (wanted === "symlog") return { distr: 4, range, log: 10, asinh: this.weighted ? threshold(values, this.spec.threshold) : this.spec.threshold };
    return { distr: 1 };
  }

  build() {
    const stack = this.spec.kind === "stack";
    this.visible = this.spec.series.filter((one) => !this.hidden.has(one.name) && !this.away.has(one.split));
    const width = this.group.full[1] - this.group.full[0];
    this.traces = this.visible.map((one) => trace(one, this.weighted)).map((one) => ({ x: rising(one.x, width), y: one.y }));
    let columns = joined(this.traces);
    if (stack) columns = stacked(columns);
    const values = this.traces.flatMap((one) => one.y.filter((v) => v != null));
    if (stack) this.tints = stackColours(this.spec.series);
    else for (const one of this.spec.series) this.tints.set(one, colour(one, this.spec, this.hues));
    for (const [name, row] of this.rows) {
      row.button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
      row.swatch.style.background = this.tints.get(this.spec.series.find((one) => one.name === name));
      row.value.textContent = "";
    }
    if (this.chart) this.chart.destroy();
    this.counted = false;
    this.chart = new uPlot(this.options(stack, this.axisType(values)), columns, this.plot);
    this.mark();
  }

  options(stack, axisType) {
    const ink = css("--quiet");
    const grid = { stroke: css("--grid"), width: 1 };
    const axis = this.group.axis;
    const font = "12px system-ui, sans-serif";
    const logarithmic = axisType.distr !== 1;
    const labelled = logarithmic ? { ...grid, filter: roomForLabels } : grid;
    return {
      width: Math.max(this.plot.clientWidth, 200),
      height: this.small ? 150 : this.spec.id.startsWith("terms") ? 330 : 240,
      padding: [10, 22, 0, 0],
      legend: { show: false },
      focus: { alpha: 0.2 },
      cursor: {
        focus: { prox: stack || this.small ? -1 : 18 },
        y: false,
        points: { size: 6 },
        drag: { x: true, y: false, setScale: false },
        sync: { key: `axis-${this.spec.axis}`, setSeries: false, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
        bind: { dblclick: () => () => { zoom(this.group, this.group.full); return null; } },
      },
      scales: {
        x: { time: false, range: () => this.group.zoom },
        y: stack ? { range: [0, 1] } : axisType,
      },
      axes: [
        { stroke: ink, grid, ticks: grid, font, incrs: INCREMENTS, space: 70, size: this.small ? 28 : 34, splits: (u, i, min, max, incr) => splits(axis, min, max, incr), values: (u, positions, i, space, incr) => stepLabels(axis, positions, incr) },
        { stroke: ink, grid: labelled, ticks: labelled, font, size: 62, ...(logarithmic ? { filter: roomForLabels } : {}), values: (u, positions) => positions.map((v) => (v == null ? "" : this.shares ? percentLabel(v) : short(v))) },
      ],
      series: [{}, ...this.visible.map((one, i) => this.line(one, i, stack))],
      bands: stack ? this.visible.slice(1).map((one, i) => ({ series: [i + 2, i + 1] })) : [],
      hooks: {
        // A chart that was replaced may still have a drawing under way.
        drawClear: [(u) => u === this.chart && this.behind(u)],
        draw: [(u) => u === this.chart && this.above(u)],
        setCursor: [(u) => u === this.chart && this.hover(u)],
        setSeries: [(u, i) => this.near(i)],
        setSelect: [(u) => {
          const { left, width } = u.select;
          if (width > 4) zoom(this.group, [u.posToVal(left, "x"), u.posToVal(left + width, "x")]);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    };
  }

  line(one, index, stack) {
    const stroke = this.tints.get(one);
    const { x: own } = this.traces[index];
    const few = () => {
      const [min, max] = this.group.zoom;
      let inside = 0;
      for (const x of own) if (x >= min && x <= max && ++inside > 40) return false;
      return true;
    };
    return {
      label: one.name,
      stroke,
      width: one.total ? 2 : stack ? 1 : 1.4,
      dash: one.solid && !one.dash ? undefined : [6, 4],
      fill: stack ? faded(stroke, 0.55) : undefined,
      points: { show: stack ? false : few, size: 4, fill: stroke },
    };
  }

  /* Findings as tints, restarts and events as lines, behind the series. */
  behind(u) {
    if (this.spec.axis !== 0) return;
    const { ctx, bbox } = u;
    const dpr = devicePixelRatio;
    const [min, max] = this.group.zoom;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const one of data.findings)
      for (const [a, b] of one.spans) {
        const chosen = one.id === selected;
        if (b < min || a > max || (!chosen && (this.small || one.spans.length > 2 || b - a > (max - min) / 8))) continue;
        const left = u.valToPos(a, "x", true);
        const width = Math.max(u.valToPos(b, "x", true) - left, 1.5 * dpr);
        ctx.fillStyle = faded(css(`--${one.severity}`), chosen ? 0.2 : 0.1);
        ctx.fillRect(left, bbox.top, width, bbox.height);
      }
    ctx.strokeStyle = css("--quiet");
    ctx.fillStyle = css("--quiet");
    ctx.font = `${11 * dpr}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.setLineDash([2 * dpr, 3 * dpr]);
    let free = -Infinity;
    for (const x of data.restarts) {
      if (x < min || x > max) continue;
      const at = Math.round(u.valToPos(x, "x", true));
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      if (at > free && !this.small) {
        ctx.fillText("restart", at + 4 * dpr, bbox.top + bbox.height - 6 * dpr);
        free = at + 60 * dpr;
      }
    }
    ctx.setLineDash([]);
    for (const { x } of data.events) {
      if (x < min || x > max) continue;
      const at = u.valToPos(x, "x", true);
      ctx.fillRect(at, bbox.top + bbox.height - 6 * dpr, 1.5 * dpr, 6 * dpr);
    }
    ctx.restore();
  }

  /* What is not finite, as marks at the top edge in the colour of its series. */
  above(u) {
    if (!this.counted) {
      this.counted = true;
      root.dataset.charts = String(++drawn);
    }
    const { ctx, bbox } = u;
    const dpr = devicePixelRatio;
    const [min, max] = this.group.zoom;
    ctx.save();
    for (const one of this.visible)
      for (const [a, b] of one.bad) {
        if (b < min || a > max) continue;
        const left = u.valToPos(Math.max(a, min), "x", true);
        const right = u.valToPos(Math.min(b, max), "x", true);
        ctx.fillStyle = this.tints.get(one);
        ctx.fillRect(left, bbox.top - 3 * dpr, Math.max(right - left, dpr), 3 * dpr);
        for (const at of right - left > 12 * dpr ? [left, right] : [(left + right) / 2]) {
          ctx.beginPath();
          ctx.moveTo(at - 5 * dpr, bbox.top - 3 * dpr);
          ctx.lineTo(at + 5 * dpr, bbox.top - 3 * dpr);
          ctx.lineTo(at, bbox.top + 6 * dpr);
          ctx.fill();
        }
      }
    ctx.restore();
  }

  near(index) {
    const name = index == null ? null : this.visible[index - 1]?.name;
    for (const [other, row] of this.rows) row.button.classList.toggle("near", other === name);
  }

  hover(u) {
    const { left, idxs } = u.cursor;
    const texts = new Map();
    let status = "";
    if (left >= 0 && idxs) {
      this.visible.forEach((one, i) => {
        const at = idxs[i + 1];
        if (at == null) return;
        let value = u.data[i + 1][at];
        if (this.spec.kind === "stack" && value != null) value -= i ? u.data[i][at] ?? 0 : 0;
        const text = this.shares && value != null ? percent(value) : short(value);
        texts.set(one.name, [...(texts.get(one.name) ?? []), one.solid ? text : `${one.split} ${text}`]);
      });
      status = this.say(u, u.posToVal(left, "x"));
      if (this.small) status += [...texts.values()].map((one) => `, ${one.join(", ")}`).join("");
    }
    for (const [name, row] of this.rows) row.value.textContent = (texts.get(name) ?? []).join(" | ");
    this.status.textContent = status;
  }

  say(u, x) {
    const { axis, zoom: [min, max] } = this.group;
    const reach = ((max - min) / Math.max(u.bbox.width / devicePixelRatio, 1)) * 5;
    const close = (a, b = a) => x >= a - reach && x <= b + reach;
    const parts = [placeWords(axis, x)];
    if (this.spec.axis === 0) {
      data.restarts.forEach((at) => close(at) && parts.push("restart"));
      data.events.forEach((one) => close(one.x) && parts.push(one.text));
    }
    for (const one of this.visible)
      for (const [a, b, nan, high, low] of one.bad)
        if (close(a, b)) parts.push(`${one.name}: ${[[nan, "NaN"], [high, "Infinity"], [low, "-Infinity"]].filter(([n]) => n).map(([n, what]) => `${n.toLocaleString("en-US")} ${what}`).join(", ")}`);
    if (this.spec.axis === 0 && !this.small)
      for (const one of data.findings) if (one.spans.some(([a, b]) => close(a, b))) parts.push(`${one.number} ${one.label}`);
    return parts.length > 7 ? [...parts.slice(0, 7), `${parts.length - 7} more`].join("  ·  ") : parts.join("  ·  ");
  }

  /* Finding marks above the plot: buttons that lead to their finding. */
  mark() {
    if (!this.lanes || !this.chart) return;
    const { bbox } = this.chart;
    const dpr = devicePixelRatio;
    const left = bbox.left / dpr;
    const width = bbox.width / dpr;
    const [min, max] = this.group.zoom;
    const busy = []; // per lane the stretches that are taken
    const marks = [];
    for (const one of this.spec.id.startsWith("terms") ? data.findings : []) {
      const places = [];
      for (const [a, b] of one.spans) {
        if (b < min || a > max) continue;
        const from = Math.max(((a - min) / (max - min)) * width, 0);
        const to = Math.min(((b - min) / (max - min)) * width, width);
        const size = Math.max(to - from, 22);
        const begin = Math.min(from, width - size);
        if (!places.length || begin > places[places.length - 1][1]) places.push([begin, begin + size]);
        else places[places.length - 1][1] = Math.max(begin + size, places[places.length - 1][1]);
      }
      let lane = busy.findIndex((taken) => places.every(([a, b]) => taken.every(([low, high]) => a > high || b < low)));
      if (lane < 0) lane = busy.length;
      if (!places.length || lane >= LANES) continue;
      (busy[lane] ??= []).push(...places);
      for (const [begin, end] of places) {
        const size = end - begin;
        const button = el("button", { type: "button", class: one.severity, text: size > 140 ? `${one.number} ${one.label}` : one.number, title: `${one.number} ${one.label}`, onclick: () => reveal(one.id) });
        button.style.left = `${left + begin}px`;
        button.style.top = `${lane * 17}px`;
        button.style.width = `${size - 1}px`;
        marks.push(button);
      }
    }
    this.lanes.replaceChildren(...marks);
    this.lanes.style.height = `${busy.length * 17 + (busy.length ? 3 : 0)}px`;
  }

  fit() {
    const width = this.plot.clientWidth;
    if (width > 0 && Math.abs(width - this.chart.width) > 1) {
      this.chart.setSize({ width, height: this.chart.height });
      this.mark();
    }
  }

  key(event) {
    const [a, b] = this.group.zoom;
    const width = b - a;
    const moves = { ArrowLeft: [a - width / 5, b - width / 5], ArrowRight: [a + width / 5, b + width / 5], "+": [a + width / 4, b - width / 4], "=": [a + width / 4, b - width / 4], "-": [a - width / 2, b + width / 2], 0: this.group.full, Escape: this.group.full };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    zoom(this.group, moves[event.key]);
  }
}
