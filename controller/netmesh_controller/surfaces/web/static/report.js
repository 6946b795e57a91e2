// The report's page: choosing a matrix, and showing all that belongs to it.
(function (netmesh) {
  "use strict";

  const report = JSON.parse(document.getElementById("netmesh-report").textContent);
  const { units } = netmesh;
  const element = (id) => document.getElementById(id);
  const chosen = { path: 0, test: 0, value: 0, statistic: "mean", scale: "robust" };
  const zones = new Map(report.nodes.map(({ name, zone }) => [name, zone]));
  const WORDS = {
    mean: "mean", median: "median", p50: "median of observations", p10: "10th percentile", p90: "90th percentile",
    p99: "99th percentile", p999: "99.9th percentile", min: "least", max: "most", stdev: "standard deviation", count: "observations",
  };

  function offer(select, options, wanted) {
    select.replaceChildren(
      ...options.map(([value, text]) => {
        const option = document.createElement("option");
        option.value = value;
        option.textContent = text;
        option.selected = String(value) === String(wanted);
        return option;
      }),
    );
    select.disabled = options.length < 2;
    return options.some(([value]) => String(value) === String(wanted)) ? wanted : options[0][0];
  }

  const paths = [...new Set(report.series.map((series) => series.path))];
  chosen.path = Math.max(0, paths.indexOf("pod-to-pod"));
  const ofPath = () => report.series.map((series, index) => [series, index]).filter(([series]) => series.path === paths[chosen.path]);

  /** Fills the lists, each after the one before it: what was chosen stays where it is there too. */
  function fill(series) {
    chosen.path = Number(offer(element("path"), paths.map((path, index) => [index, path]), chosen.path));
    const tests = ofPath().map(([{ title }, index]) => [index, title]);
    const same = series && ofPath().find(([{ title }]) => title === series.title);
    chosen.test = Number(offer(element("test"), tests, same ? same[1] : chosen.test));
    const { values } = report.series[chosen.test];
    const kept = series && values.findIndex(({ name }) => name === chosen.valueName);
    chosen.value = Number(offer(element("value"), values.map(({ label }, index) => [index, label]), kept > 0 ? kept : 0));
    const value = values[chosen.value];
    chosen.valueName = value.name;
    const statistics = Object.keys(value.statistics).map((name) => [name, WORDS[name] || name]);
    chosen.statistic = offer(element("statistic"), statistics, chosen.statistic);
  }

  async function matrixOf(series, value, statistic) {
    const stored = value.statistics[statistic];
    const [numbers, reasons, repeats] = await Promise.all([
      netmesh.arrays.load(stored.numbers), netmesh.arrays.load(stored.reasons), netmesh.arrays.load(series.repeats),
    ]);
    const names = report.nodes.map(({ name }) => name);
    return {
      value: value.name, unit: value.unit, more: value.more, numbers, reasons, repeats, codes: stored.codes,
      sources: names, targets: series.targets || names,
    };
  }

  /** The largest figure between nodes that any path has for the same test and value, so that paths share a scale. */
  async function largest(series, value, statistic) {
    let most = 0;
    for (const other of report.series.filter(({ test, words }) => test === series.test && words === series.words)) {
      const same = other.values.find(({ name }) => name === value.name);
      if (!same || !same.statistics[statistic]) continue;
      const { sorted } = netmesh.matrix.summary(await matrixOf(other, same, statistic));
      if (sorted.length) most = Math.max(most, sorted[sorted.length - 1]);
    }
    return most;
  }

  let latest = 0;
  let shown = null;

  async function draw() {
    const call = ++latest;
    const series = report.series[chosen.test];
    const value = series.values[chosen.value];
    const matrix = await matrixOf(series, value, chosen.statistic);
    const found = netmesh.matrix.summary(matrix);
    const most = chosen.scale === "fixed" ? await largest(series, value, chosen.statistic) : 0;
    if (call !== latest) return;
    const scale = units.scaleFor(value.name, value.unit, found.sorted);
    Object.assign(matrix, {
      scale, label: value.label, range: netmesh.matrix.range(matrix, found, chosen.scale, most),
      zones: { sources: matrix.sources.map((name) => zones.get(name)), targets: matrix.targets.map((name) => zones.get(name)) },
      explain: (at) => explained(series, value, matrix, at),
      open: (at) => netmesh.pairDetail(element("pair"), { series, matrix, at, reading, words: WORDS }),
    });
    shown = { series, value, matrix, found };
    const statistic = WORDS[chosen.statistic] || chosen.statistic;
    const unit = scale.unit ? `, ${scale.unit}` : "";
    element("matrix-title").textContent = `${series.path}: ${series.title}, ${value.label} (${statistic})${unit}`;
    await netmesh.heatmap(element("heatmap"), matrix);
    netmesh.told({ spread: element("spread"), worst: element("worst"), gaps: element("gaps") }, matrix, found, report.codes, value);
    element("heatmap").dataset.drawn = `${chosen.test}/${chosen.value}/${chosen.statistic}/${chosen.scale}`;
    // What stands further down comes once the heatmap can be seen.
    setTimeout(() => { if (call === latest) below(series, value, found, scale); });
  }

  function below(series, value, found, scale) {
    netmesh.distribution.pairs(element("pairs"), found.sorted, scale, value.label);
    observations(series, value);
    if (element("as-table").open) table();
  }

  function reading(matrix, at, scale = matrix.scale) {
    const code = matrix.codes[matrix.reasons[at]];
    return code || units.full(matrix.numbers[at], scale);
  }

  function explained(series, value, matrix, at) {
    const [source, target] = netmesh.matrix.pair(matrix, at);
    const lines = [source === target ? `${source} (same node)` : `${source} → ${target}`, `${value.label}: ${reading(matrix, at)}`];
    const code = matrix.codes[matrix.reasons[at]];
    const unknown = code === "not_supported" && chosen.statistic !== "mean" && matrix.repeats[at] > 0;
    if (code) lines.push(unknown ? report.noStatistic : series.messages[at] || report.codes[code] || "");
    const zone = [zones.get(source), zones.get(target)];
    if (zone[0] || zone[1]) lines.push(`zones: ${zone[0] || "none"} → ${zone[1] || "none"}`);
    lines.push(`repeats measured: ${matrix.repeats[at]}`);
    return lines.filter((line) => line);
  }

  function observations(series, value) {
    const curves = report.series
      .filter(({ test }) => test === series.test)
      .flatMap(({ path, words, observations: all }) =>
        (all[value.name] ? [{ name: `${path}, ${words}`, ...all[value.name] }] : []));
    element("observations-part").hidden = !curves.length;
    if (!curves.length) return;
    const scale = units.scaleFor(value.name, value.unit, curves.flatMap(({ values }) => values));
    netmesh.distribution.observations(element("observations"), curves, scale, value.label);
  }

  function table() {
    netmesh.table(element("table"), shown.matrix, element("matrix-title").textContent);
  }

  function start() {
    netmesh.theme.toggle(element("theme"));
    if (!report.series.length) return;
    for (const name of ["path", "test", "value"]) {
      element(name).addEventListener("change", ({ target }) => {
        const before = report.series[chosen.test];
        chosen[name] = Number(target.value);
        if (name === "value") chosen.valueName = report.series[chosen.test].values[chosen.value].name;
        fill(name === "test" ? report.series[chosen.test] : before);
        draw();
      });
    }
    for (const name of ["statistic", "scale"]) {
      element(name).addEventListener("change", ({ target }) => { chosen[name] = target.value; draw(); });
    }
    element("as-table").addEventListener("toggle", () => { if (element("as-table").open && shown) table(); });
    let waiting;
    addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); });
    netmesh.theme.onChange(draw);
    fill();
    draw();
  }

  start();
})((window.netmesh = window.netmesh || {}));
