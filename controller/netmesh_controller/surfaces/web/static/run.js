// A run's mesh: its findings, a heatmap of any path, test and value, worst pairs, gaps, and reports to take along.
(function (netmesh) {
  "use strict";

  const { units, api, dom } = netmesh;
  const element = (id) => document.getElementById(id);
  const FORMATS = ["html", "png", "svg", "csv", "json"];
  const AGAIN_MILLISECONDS = 5000;

  /** Pairs that a run will come to are said to be cancelled where it ends before them: while it runs they are to come. */
  function toCome(matrix) {
    matrix.codes = matrix.codes.map((code) => (code === "cancelled" ? "not_yet" : code));
  }

  function options(id, values, wanted) {
    const chosen = values.includes(wanted) ? wanted : values[0];
    element(id).replaceChildren(...values.map((value) => dom.made("option", { value, selected: value === chosen }, value)));
    return chosen;
  }

  const said = ({ instrument, family, streams, load, message_bytes: bytes }) =>
    [instrument, family === 6 && "IPv6", streams > 1 && `${streams} streams`, bytes && `${bytes} B`, load && `under ${load}`]
      .filter(Boolean).join(", ");

  async function run(here, id) {
    const base = `api/v1/runs/${encodeURIComponent(id)}`;
    const [about, { matrices }] = await Promise.all([api.json(base), api.json(`${base}/matrices`)]);
    if (!here.alive()) return;
    element("run").hidden = false;
    element("run-title").textContent = about.run.name || about.run.id;
    const gaps = Object.entries(about.outcomes).map(([outcome, count]) => `${count} ${outcome}`).join(", ");
    element("run-about").textContent = `${about.run.state}, started ${dom.moment(about.run.started_at)} UTC; ` +
      `${about.nodes.length} nodes; cells: ${gaps || "none yet"}`;
    element("run-links").replaceChildren(
      dom.link("compare with another run", `#compare?second=${encodeURIComponent(about.run.id)}`),
      ...(about.run.plan.asked.diagnose ? [" · ", dom.link("the diagnosis", `#diagnosis/${encodeURIComponent(about.run.id)}`)] : []),
      ...(about.run.state === "running" ? [" · ", dom.link("watch it", `#sweep/${encodeURIComponent(about.run.id)}`)] : []));
    element("run-findings").replaceChildren(...about.findings.map(({ sentence }) => dom.made("li", {}, sentence)));
    element("formats").replaceChildren(...FORMATS.flatMap((format) => [
      dom.button(format.toUpperCase(), () => here.guarded(() => take(`${base}/report?format=${format}`, `${id}.${format}`))), " "]));
    const zones = new Map(about.nodes.map(({ name, zone }) => [name, zone]));
    const running = about.run.state === "running";
    const show = () => here.guarded(() => draw(here, base, matrices, zones, running));
    for (const name of ["path", "test", "value", "scale"]) element(name).onchange = show;
    element("as-table").ontoggle = show;
    element("run").classList.toggle("empty", !matrices.length);
    if (matrices.length) await draw(here, base, matrices, zones, running);
    else element("matrix-title").textContent = running ? "No cell is measured yet." : "No cell was measured.";
    if (running) here.later(AGAIN_MILLISECONDS, () => run(here, id));
  }

  async function take(path, name) {
    const link = dom.made("a", { href: URL.createObjectURL(await (await api.ask(path, { accept: "*/*" })).blob()), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  async function draw(here, base, matrices, zones, running) {
    const word = (value) => here.words.values[value] || { label: value, more: false };
    const shown = element("path").value;
    const path = options("path", [...new Set(matrices.map((one) => one.path))], shown || "pod-to-pod");
    const ofPath = matrices.filter((one) => one.path === path);
    const title = (one) => `${one.test}, ${said(one.parameters)}`;
    const test = options("test", [...new Set(ofPath.map(title))], element("test").value);
    const ofTest = ofPath.filter((one) => title(one) === test);
    const value = options("value", ofTest.map((one) => word(one.value).label), element("value").value);
    const head = ofTest.find((one) => word(one.value).label === value);
    const matrix = await api.matrix(`${base}/${head.href}`, word);
    if (!here.alive()) return;
    if (running) toCome(matrix);
    const reasons = { ...here.words.reasons, not_yet: "its turn has not come yet" };
    const found = netmesh.matrix.summary(matrix);
    const scale = units.scaleFor(matrix.value, matrix.unit, found.sorted);
    const most = found.sorted.length ? found.sorted[found.sorted.length - 1] : 0;
    Object.assign(matrix, {
      scale, range: netmesh.matrix.range(matrix, found, element("scale").value, most),
      link: here.pair,
      open: (at) => { location.hash = here.pair(netmesh.matrix.pair(matrix, at)); },
      zones: { sources: matrix.sources.map((name) => zones.get(name)), targets: matrix.targets.map((name) => zones.get(name)) },
      explain: (at) => {
        const code = matrix.codes[matrix.reasons[at]];
        const [source, target] = netmesh.matrix.pair(matrix, at);
        const told = `${matrix.label}: ${code || units.full(matrix.numbers[at], scale)}`;
        return [source === target ? `${source} (same node)` : `${source} → ${target}`, told, ...(code ? [reasons[code] || ""] : [])];
      },
    });
    element("matrix-title").textContent = `${path}: ${test}, ${matrix.label} (${matrix.statistic})${scale.unit ? `, ${scale.unit}` : ""}`;
    await netmesh.heatmap(element("heatmap"), matrix);
    netmesh.told({ spread: element("spread"), worst: element("worst"), gaps: element("gaps") }, matrix, found, reasons, matrix);
    netmesh.distribution.pairs(element("pairs"), found.sorted, scale, matrix.label);
    if (element("as-table").open) netmesh.table(element("table"), matrix, element("matrix-title").textContent);
    element("heatmap").dataset.drawn = `${path}/${test}/${value}`;
  }

  netmesh.pages = { ...netmesh.pages, run };
})((window.netmesh = window.netmesh || {}));
