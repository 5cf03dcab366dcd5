"use strict";
// Moves along what was computed beforehand: no value between two computed TTLs or numbers of replicas is drawn.
// Numbers are computed and rounded in the order of grid.py and words.py, so that both say the same.
(() => {
  const root = document.getElementById("explorer");
  const given = JSON.parse(document.getElementById("explorer-data").textContent);
  const NAMES = ["ttl", "replicas", "rtt", "upstream", "quota"];
  const SVG = "http://www.w3.org/2000/svg";
  const place = { ...given.own };
  const sliders = {};

  // --- numbers as words.py says them
  const thousands = (whole) => String(whole).replace(/\B(?=(\d{3})+$)/g, ",");
  const rounded = (value, digits) => {
    const scale = 10 ** digits;
    const units = Math.floor(value * scale + 0.5);
    const whole = thousands(Math.floor(units / scale));
    return digits ? whole + "." + String(units % scale).padStart(digits, "0") : whole;
  };
  const calls = (value) => rounded(value, value >= 10 || value === 0 ? 0 : 1);
  const ms = (value) => rounded(value, value < 10 ? 2 : value < 100 ? 1 : 0) + " ms";
  const percent = (share) => {
    const near = share >= 0.995 ? 2 : share >= 0.99 ? 1 : 0;
    return rounded(share * 100, share < 0.1 ? 1 : share < 1 ? near : 0) + "%";
  };

  // --- what the grid says (grid.py)
  const hitRatio = (series, row, column) => series.hits[row][column] / Math.max(given.requests[row], 1);
  const meanMs = (series, row, column) => {
    const times = series.times;
    const requests = Math.max(given.requests[row], 1);
    const l1 = series.l1_hits[row][column] / requests;
    const hit = (series.hits[row][column] - series.l1_hits[row][column]) / requests;
    const delayed = series.delayed[row][column] / requests;
    const stale = (series.stale.length ? series.stale[row][column] : 0) / requests;
    const miss = Math.max(0, 1 - hit - l1 - delayed - stale);
    const busy = (1 - miss) * times.hit_busy_ms + miss * times.miss_busy_ms;
    const square = (1 - miss) * times.hit_busy_ms * times.hit_busy_ms + miss * times.miss_busy_ms * times.miss_busy_ms;
    const replicas = given.replicas[column];
    const perMs = given.rate / replicas / 1000;
    if (given.peak_rate / replicas / 1000 * busy >= 1) return null;
    const waiting = perMs * square / (2 * (1 - perMs * busy));
    const rtt = given.rtt_ms[place.rtt];
    const upstream = given.upstream_ms[place.upstream] * given.upstream_mean;
    const hitMs = times.hit_ms + times.hit_hops * rtt;
    const missMs = times.miss_ms + times.miss_hops * rtt + upstream;
    const without = l1 * times.l1_hit_ms + (hit + stale) * hitMs + delayed * (hitMs + missMs / 2) + miss * missMs;
    return without + waiting;
  };
  const seriesOf = (topology) => given.series.find((one) => one.topology === topology && !one.l1);
  const quota = () => given.quota[place.quota];

  // --- the sentence (explorer.py)
  const saidCalls = (series, short) => {
    const said = calls(series.busiest[place.ttl][place.replicas]) + (short ? "" : " upstream calls");
    if (quota() === null) return said;
    const share = percent(series.quota_busiest[place.ttl][place.replicas] / quota());
    return `${said} (${share}${short ? "" : " of " + rounded(quota(), 0)})`;
  };
  const saidFits = (separate, sidecar) => {
    const shared = separate.quota_busiest[place.ttl][place.replicas] <= quota();
    const own = sidecar.quota_busiest[place.ttl][place.replicas] <= quota();
    if (shared && own) return "both fit";
    if (shared || own) return `only ${shared ? "the separate Redis fits" : "sidecars fit"}`;
    return "neither fits";
  };
  const saidLatency = (separate, sidecar) => {
    const shared = meanMs(separate, place.ttl, place.replicas);
    const own = meanMs(sidecar, place.ttl, place.replicas);
    if (shared === null || own === null) return "So few replicas cannot serve the busiest hour.";
    const said = `The mean latency is ${ms(own)} with sidecars and ${ms(shared)} with a separate Redis`;
    if (Math.abs(own - shared) < 0.005) return `${said}: no difference.`;
    const faster = own < shared ? "sidecars are" : "a separate Redis is";
    return `${said}: ${faster} ${ms(Math.abs(own - shared))} faster.`;
  };
  const sentence = () => {
    const separate = seriesOf("separate");
    const sidecar = seriesOf("sidecar");
    const replicas = given.replicas[place.replicas];
    let said = `With ${replicas} ${replicas === 1 ? "replica" : "replicas"} and a TTL of ` +
      `${given.ttl_labels[place.ttl]}, a separate Redis makes ${saidCalls(separate, false)} ${given.when}, ` +
      `sidecars ${saidCalls(sidecar, true)}`;
    if (quota() !== null) said += `: ${saidFits(separate, sidecar)}`;
    return `${said}. ${saidLatency(separate, sidecar)}`;
  };

  // --- curves
  const element = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const BOX = { left: 56, right: 16, top: 10, bottom: 26, width: 300, height: 210 };
  const marks = (low, high, most) => {
    for (const mantissas of [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
      const found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
        found.push(...mantissas.map((one) => one * 10 ** power).filter((value) => value >= low && value <= high));
      }
      const stride = Math.ceil(found.length / most);
      if (found.length > 2) return found.filter((_, number) => number % stride === 0);
    }
    return steps(high).filter((value) => value >= low);
  };
  const steps = (high) => {
    const rough = high / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
    return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, number) => number * step);
  };
  const ticksOf = (low, high, logarithmic) => logarithmic ? marks(low, high, 5) : steps(high);
  const draw = (name, { value, text, logarithmic, low, high, line }) => {
    const svg = root.querySelector(`[data-curve="${name}"]`);
    svg.replaceChildren();
    const rows = given.ttl_s.map((_, row) => row);
    const drawn = given.series.map((series) => [series, rows.map((row) => value(series, row))]);
    const trials = given.measured.filter((one) => one[name] !== null && one.replicas === given.replicas[place.replicas] &&
      (name !== "mean" || (place.rtt === given.own.rtt && place.upstream === given.own.upstream)));
    const known = drawn.flatMap(([, values]) => values).filter((one) => one !== null && (!logarithmic || one > 0));
    if (line) known.push(line);
    known.push(...trials.map((one) => one[name]).filter((one) => !logarithmic || one > 0));
    if (!known.length) return;
    let least = low ?? Math.min(...known);
    let most = high ?? Math.max(...known) * (logarithmic ? 1.15 : 1.05);
    if (logarithmic) least *= 0.85;
    if (most <= least) most = least + 1;
    const scale = logarithmic ? Math.log : (one) => one;
    const y = (one) => BOX.height - BOX.bottom -
      (scale(one) - scale(least)) / (scale(most) - scale(least)) * (BOX.height - BOX.top - BOX.bottom);
    const [first, last] = [Math.log(given.ttl_s[0]), Math.log(given.ttl_s[rows.length - 1])];
    const xOf = (ttl) => BOX.left + (last > first ? (Math.log(ttl) - first) / (last - first) : 0.5) *
      (BOX.width - BOX.left - BOX.right);
    const x = (row) => xOf(given.ttl_s[row]);
    for (const tick of ticksOf(least, most, logarithmic)) {
      svg.append(element("line", { x1: BOX.left, x2: BOX.width - BOX.right, y1: y(tick), y2: y(tick), class: "rule" }));
      svg.append(element("text", { x: BOX.left - 6, y: y(tick) + 4, class: "tick end" }, text(tick)));
    }
    let free = -Infinity;
    for (const row of rows) {
      const label = given.ttl_labels[row];
      const half = label.length * 3.4;
      if (x(row) - half < free || x(row) + half > BOX.width + 2 || /\d .+\d/.test(label)) continue;
      free = x(row) + half + 14;
      svg.append(element("text", { x: x(row), y: BOX.height - 6, class: "tick middle" }, label));
    }
    if (line && line >= least && line <= most) {
      svg.append(element("line", { x1: BOX.left, x2: BOX.width - BOX.right, y1: y(line), y2: y(line), class: "limit" }));
      svg.append(element("text", { x: BOX.width - BOX.right, y: y(line) - 5, class: "tick end" }, "quota"));
    }
    svg.append(element("line", { x1: x(place.ttl), x2: x(place.ttl), y1: BOX.top, y2: BOX.height - BOX.bottom, class: "here" }));
    for (const [series, values] of drawn) {
      const colour = `${series.topology}${series.l1 ? "-l1" : ""}`;
      const points = values.map((one, row) => one === null || (logarithmic && one <= 0) ? "" : `${x(row).toFixed(1)},${y(one).toFixed(1)}`);
      svg.append(element("polyline", { points: points.filter(Boolean).join(" "), class: `curve ${colour}` }));
      const here = values[place.ttl];
      if (here !== null && (!logarithmic || here > 0)) svg.append(element("circle", { cx: x(place.ttl), cy: y(here), r: 4, class: `point ${colour}` }));
    }
    for (const one of trials) {
      const [cx, cy] = [xOf(one.ttl_s), y(one[name])];
      if (!Number.isFinite(cy)) continue;
      const cross = `M${cx - 5} ${cy - 5}L${cx + 5} ${cy + 5}M${cx - 5} ${cy + 5}L${cx + 5} ${cy - 5}`;
      const drawnCross = element("path", { d: cross, class: "measured" });
      drawnCross.append(element("title", {}, `${one.name}, measured`));
      svg.append(drawnCross);
    }
  };
  const tick = (value) => value >= 1000 ? thousands(Math.round(value)) : String(Number(value.toPrecision(3)));

  const curves = () => {
    const column = place.replicas;
    draw("calls", { value: (series, row) => series.busiest[row][column], text: tick, logarithmic: true, line: quota() });
    draw("hits", { value: (series, row) => hitRatio(series, row, column), text: (one) => `${Math.round(one * 100)}%`, low: 0, high: 1 });
    draw("mean", { value: (series, row) => meanMs(series, row, column), text: (one) => `${tick(one)} ms`, low: 0 });
  };

  // --- the table of the setting
  const table = () => {
    for (const line of root.querySelectorAll("tbody tr")) {
      const series = given.series[Number(line.dataset.series)];
      const { ttl: row, replicas: column } = place;
      const latency = meanMs(series, row, column);
      const share = quota() === null ? "–" : percent(series.quota_busiest[row][column] / quota());
      const texts = [calls(series.busiest[row][column]), share, percent(hitRatio(series, row, column)), latency === null ? "does not fit" : ms(latency)];
      line.querySelectorAll("td .value").forEach((cell, number) => { cell.textContent = texts[number]; });
    }
  };

  // --- sliders
  const labels = {
    ttl: () => given.ttl_labels[place.ttl],
    replicas: () => String(given.replicas[place.replicas]),
    rtt: () => given.rtt_labels[place.rtt],
    upstream: () => given.upstream_labels[place.upstream],
    quota: () => quota() === null ? "none" : `${rounded(quota(), 0)} an hour`,
  };
  const counts = {
    ttl: given.ttl_s.length, replicas: given.replicas.length, rtt: given.rtt_ms.length,
    upstream: given.upstream_ms.length, quota: given.quota.length,
  };
  const show = () => {
    for (const name of NAMES) {
      sliders[name].value = String(place[name]);
      sliders[name].setAttribute("aria-valuetext", labels[name]());
      root.querySelector(`output[data-of="${name}"]`).textContent = labels[name]();
    }
    root.querySelector("[data-sentence]").textContent = sentence();
    root.querySelector("[data-upstream-note]").hidden = place.upstream === given.own.upstream;
    curves();
    table();
  };
  for (const name of NAMES) {
    const slider = root.querySelector(`input[data-name="${name}"]`);
    slider.max = String(counts[name] - 1);
    slider.addEventListener("input", () => { place[name] = Number(slider.value); show(); });
    sliders[name] = slider;
  }
  root.querySelector("button").addEventListener("click", () => { Object.assign(place, given.own); show(); });
  root.hidden = false;
  show();

  // Printed, the tables behind figures are open.
  let shut = [];
  addEventListener("beforeprint", () => {
    shut = [...document.querySelectorAll("details:not([open])")];
    for (const one of shut) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of shut) one.open = false; });
})();
