// The controller's pages: runs, nodes, and a run's mesh, out of the HTTP API.
(function (netmesh) {
  "use strict";

  const { units } = netmesh;
  const element = (id) => document.getElementById(id);
  const FORMATS = ["html", "png", "svg", "csv", "json"];
  const AGAIN_MILLISECONDS = 5000;
  const PACKED = "application/vnd.netmesh.matrix";
  let words = { values: {}, reasons: {} };
  let waiting;
  let visit = 0;

  class Refused extends Error {}

  async function ask(path, accept = "application/json") {
    const token = sessionStorage.getItem("netmesh-token");
    const response = await fetch(path, { headers: { Accept: accept, ...(token ? { "X-Netmesh-Token": token } : {}) } });
    if (response.status === 401) throw new Refused();
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      throw new Error(problem.detail || `the controller answered ${response.status}`);
    }
    return response;
  }

  const json = async (path) => (await ask(path)).json();

  /** The matrix of mesh/packed.py, as matrix.js wants it. */
  function unpacked(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const size = head.sources.length * head.targets.length;
    const numbers = new Float64Array(buffer, 4 + length, size);
    const reasons = new Uint8Array(buffer, 4 + length + 8 * size, size);
    return { ...head, numbers, reasons, ...word(head.value) };
  }

  const word = (value) => words.values[value] || { label: value, more: false };

  function made(kind, text, attributes = {}) {
    const one = document.createElement(kind);
    one.textContent = text;
    return Object.assign(one, attributes);
  }

  function list(title, heads, rows, empty) {
    element("list").hidden = false;
    element("list").querySelector("h2").textContent = title;
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const one of heads) head.append(made("th", one, { scope: "col" }));
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const one of row) line.insertCell().append(one);
    }
    element("list").querySelector("div").replaceChildren(rows.length ? table : made("p", empty));
  }

  async function runs() {
    const found = (await json("api/v1/runs?limit=100")).runs.map(({ run, outcomes }) => {
      const all = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
      const name = made("a", run.name || run.id, { href: `#run/${encodeURIComponent(run.id)}` });
      return [name, run.state, run.started_at.slice(0, 16).replace("T", " "), `${outcomes.measured || 0} of ${all}`];
    });
    list("Runs", ["run", "state", "started (UTC)", "cells measured"], found,
      "No run yet. Start one with: netmesh-controller sweep --controller " + location.href.split("#")[0]);
  }

  async function nodes() {
    const found = (await json("api/v1/nodes")).nodes.map(({ name, zone, agents }) => [
      name, zone || "", (agents || []).map(({ role, address }) => `${role} ${address}`).join(", "),
    ]);
    list("Nodes", ["node", "zone", "agents"], found, "No agent answers: look at the agents' pods, and at the controller's log.");
  }

  function options(id, values, wanted) {
    const chosen = values.includes(wanted) ? wanted : values[0];
    element(id).replaceChildren(...values.map((value) => made("option", value, { value, selected: value === chosen })));
    return chosen;
  }

  const said = ({ instrument, family, streams, load, message_bytes: bytes }) =>
    [instrument, family === 6 && "IPv6", streams > 1 && `${streams} streams`, bytes && `${bytes} B`, load && `under ${load}`]
      .filter(Boolean).join(", ");

  async function run(id, mine) {
    const base = `api/v1/runs/${encodeURIComponent(id)}`;
    const [about, { matrices }] = await Promise.all([json(base), json(`${base}/matrices`)]);
    if (mine !== visit) return;
    element("run").hidden = false;
    element("run-title").textContent = about.run.name || about.run.id;
    const gaps = Object.entries(about.outcomes).map(([outcome, count]) => `${count} ${outcome}`).join(", ");
    element("run-about").textContent = `${about.run.state}, started ${about.run.started_at.slice(0, 16).replace("T", " ")} UTC; ` +
      `${about.nodes.length} nodes; cells: ${gaps || "none yet"}`;
    element("run-findings").replaceChildren(...about.findings.map(({ sentence }) => made("li", sentence)));
    element("formats").replaceChildren(...FORMATS.flatMap((format) => {
      const button = made("button", format.toUpperCase(), { type: "button" });
      button.addEventListener("click", () => guarded(() => take(`${base}/report?format=${format}`, `${id}.${format}`)));
      return [button, " "];
    }));
    const zones = new Map(about.nodes.map(({ name, zone }) => [name, zone]));
    const show = () => guarded(() => draw(base, matrices, zones));
    for (const name of ["path", "test", "value", "scale"]) element(name).onchange = show;
    element("as-table").ontoggle = show;
    if (matrices.length) await draw(base, matrices, zones);
    else element("matrix-title").textContent = "No cell is measured yet.";
    if (about.run.state === "running" && mine === visit) waiting = setTimeout(() => guarded(() => run(id, mine)), AGAIN_MILLISECONDS);
  }

  async function take(path, name) {
    const link = made("a", "", { href: URL.createObjectURL(await (await ask(path, "*/*")).blob()), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  async function draw(base, matrices, zones) {
    const shown = element("path").value;
    const path = options("path", [...new Set(matrices.map((one) => one.path))], shown || "pod-to-pod");
    const ofPath = matrices.filter((one) => one.path === path);
    const title = (one) => `${one.test}, ${said(one.parameters)}`;
    const test = options("test", [...new Set(ofPath.map(title))], element("test").value);
    const ofTest = ofPath.filter((one) => title(one) === test);
    const value = options("value", ofTest.map((one) => word(one.value).label), element("value").value);
    const head = ofTest.find((one) => word(one.value).label === value);
    const matrix = unpacked(await (await ask(`${base}/${head.href}`, PACKED)).arrayBuffer());
    const found = netmesh.matrix.summary(matrix);
    const scale = units.scaleFor(matrix.value, matrix.unit, found.sorted);
    const most = found.sorted.length ? found.sorted[found.sorted.length - 1] : 0;
    Object.assign(matrix, {
      scale, range: netmesh.matrix.range(matrix, found, element("scale").value, most), open: null,
      zones: { sources: matrix.sources.map((name) => zones.get(name)), targets: matrix.targets.map((name) => zones.get(name)) },
      explain: (at) => {
        const code = matrix.codes[matrix.reasons[at]];
        const [source, target] = netmesh.matrix.pair(matrix, at);
        const told = `${matrix.label}: ${code || units.full(matrix.numbers[at], scale)}`;
        return [source === target ? `${source} (same node)` : `${source} → ${target}`, told, ...(code ? [words.reasons[code] || ""] : [])];
      },
    });
    element("matrix-title").textContent = `${path}: ${test}, ${matrix.label} (${matrix.statistic})${scale.unit ? `, ${scale.unit}` : ""}`;
    await netmesh.heatmap(element("heatmap"), matrix);
    netmesh.told({ spread: element("spread"), worst: element("worst"), gaps: element("gaps") }, matrix, found, words.reasons, matrix);
    netmesh.distribution.pairs(element("pairs"), found.sorted, scale, matrix.label);
    if (element("as-table").open) netmesh.table(element("table"), matrix, element("matrix-title").textContent);
    element("heatmap").dataset.drawn = `${path}/${test}/${value}`;
  }

  /** Does it, and says in the page what went wrong: a token that is missing, or a sentence. */
  async function guarded(work) {
    try {
      await work();
      element("problem").hidden = true;
    } catch (error) {
      element("token").hidden = !(error instanceof Refused);
      // Who has given none yet is asked for it, and not blamed.
      element("problem").hidden = error instanceof Refused && !sessionStorage.getItem("netmesh-token");
      element("problem").textContent = error instanceof Refused
        ? "The token that was given is not this controller's." : `${error.message}`;
    }
  }

  function go() {
    const mine = ++visit;
    clearTimeout(waiting);
    for (const id of ["list", "run", "token", "problem"]) element(id).hidden = true;
    const [what, id] = location.hash.slice(1).split("/");
    guarded(async () => {
      words = await (await fetch("pages/words")).json();
      if (what === "run" && id) await run(decodeURIComponent(id), mine);
      else if (what === "nodes") await nodes();
      else await runs();
    });
  }

  element("token").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("netmesh-token", element("token-text").value);
    go();
  });
  netmesh.theme.toggle(element("theme"));
  netmesh.theme.onChange(() => { if (!element("run").hidden) go(); });
  addEventListener("hashchange", go);
  go();
})((window.netmesh = window.netmesh || {}));
