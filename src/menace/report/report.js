"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const own = data.names.findIndex((_, i) => data.classes[i] === "s-menace");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const plots = [...document.querySelectorAll(".plot")];
  let current = data.ticks.length - 1;

  const number = (svg, name) => Number(svg.dataset[name]);
  const drawing = (plot) => [...plot.querySelectorAll("svg")].find((svg) => svg.getBoundingClientRect().width > 0);
  const place = (svg, index) => {
    const left = number(svg, "left");
    return left + ((index + 0.5) / number(svg, "count")) * (number(svg, "right") - left);
  };

  const draw = (parent, name, attributes) => {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
  };

  const dots = (kind, tick) => {
    if (kind === "loss") return [[tick.smooth, "s-menace"]];
    if (kind === "usd") return tick.amounts.map((value, i) => [value, data.classes[i]]);
    if (kind !== "gap" || own < 0 || tick.amounts[own] === null) return [];
    return tick.amounts.map((value, i) => [value === null ? null : value - tick.amounts[own], data.classes[i]]);
  };

  const cross = (svg, tick) => {
    const group = document.createElementNS(NS, "g");
    group.setAttribute("class", "crosshair");
    const x = place(svg, tick.i);
    draw(group, "line", { class: "cross", x1: x, x2: x, y1: svg.dataset.top, y2: svg.dataset.bottom });
    const low = number(svg, "low");
    for (const [value, style] of dots(svg.dataset.kind, tick)) {
      if (value === null || value < low || value > number(svg, "high")) continue;
      const share = (value - low) / (number(svg, "high") - low);
      const y = number(svg, "lowAt") + share * (number(svg, "highAt") - number(svg, "lowAt"));
      draw(group, "circle", { class: `cross-dot ${style}`, cx: x, cy: y, r: 4 });
    }
    svg.append(group);
  };

  const clear = () => {
    for (const group of document.querySelectorAll(".crosshair")) group.remove();
  };

  const lines = (kind, tick) => {
    if (kind === "usd" || kind === "gap") {
      return data.names.map((name, i) => tick[kind][i] && `${name} ${tick[kind][i]}`).filter(Boolean);
    }
    return [tick.loss, tick.version].filter(Boolean);
  };

  const fill = (kind, tick) => {
    tip.replaceChildren();
    const add = (name, text, style) => {
      const node = document.createElement(name);
      node.textContent = text;
      if (style) node.className = style;
      tip.append(node);
    };
    add("b", tick.label);
    for (const text of lines(kind, tick)) add("p", text);
    for (const text of tick.cycles) add("p", text);
    if (kind !== "usd" && kind !== "gap" && tick.why) add("p", tick.why, "why");
  };

  const show = (index, plot) => {
    current = Math.max(0, Math.min(data.ticks.length - 1, index));
    const tick = data.ticks[current];
    const svg = drawing(plot);
    if (!svg) return;
    clear();
    for (const other of plots) cross(drawing(other), tick);
    const kind = svg.dataset.kind;
    fill(kind, tick);
    plot.append(tip);
    tip.hidden = false;
    const frame = plot.getBoundingClientRect();
    const box = svg.getBoundingClientRect();
    const x = box.left - frame.left + (place(svg, tick.i) / svg.viewBox.baseVal.width) * box.width;
    const before = x > frame.width / 2;
    const left = before ? x - tip.offsetWidth - 14 : x + 14;
    tip.style.left = `${Math.max(0, Math.min(frame.width - tip.offsetWidth, left))}px`;
    const reach = plot.querySelector(".reach");
    reach.setAttribute("aria-valuenow", current + 1);
    reach.setAttribute("aria-valuetext", [tick.label, ...lines(kind, tick), ...tick.cycles].join(", "));
  };

  const hide = () => {
    tip.hidden = true;
    clear();
  };

  const nearest = (plot, clientX) => {
    const svg = drawing(plot);
    const box = svg.getBoundingClientRect();
    const x = ((clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    let best = 0;
    data.ticks.forEach((tick, k) => {
      if (Math.abs(place(svg, tick.i) - x) < Math.abs(place(svg, data.ticks[best].i) - x)) best = k;
    });
    return best;
  };

  const marked = (from, step) => {
    for (let k = from + step; data.ticks[k]; k += step) if (data.ticks[k].cycles.length) return k;
    return from;
  };

  if (!data.ticks.length) return;
  for (const plot of plots) {
    const reach = document.createElement("div");
    reach.className = "reach";
    reach.tabIndex = 0;
    const name = plot.querySelector("svg title").textContent;
    const range = { role: "slider", "aria-label": name, "aria-valuemin": 1, "aria-valuemax": data.ticks.length };
    for (const [key, value] of Object.entries(range)) reach.setAttribute(key, value);
    reach.setAttribute("aria-valuenow", current + 1);
    const moves = {
      ArrowRight: () => current + 1, ArrowLeft: () => current - 1,
      ArrowUp: () => marked(current, 1), ArrowDown: () => marked(current, -1),
      Home: () => 0, End: () => data.ticks.length - 1,
    };
    reach.addEventListener("pointermove", (event) => show(nearest(plot, event.clientX), plot));
    reach.addEventListener("pointerdown", (event) => show(nearest(plot, event.clientX), plot));
    reach.addEventListener("pointerleave", hide);
    reach.addEventListener("focus", () => { if (reach.matches(":focus-visible")) show(current, plot); });
    reach.addEventListener("blur", hide);
    reach.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide();
      if (!moves[event.key]) return;
      event.preventDefault();
      show(moves[event.key](), plot);
    });
    plot.append(reach);
  }
  window.addEventListener("resize", hide);
  for (const note of document.querySelectorAll(".keys")) note.hidden = false;
})();
