// A pair of nodes: now, over time, and in the last sweeps, both directions beside each other; and the way to a diagnosis.
(function (netmesh) {
  "use strict";

  const { units, api, dom } = netmesh;
  const { made } = dom;
  const LAST_RUNS = 5;
  const SPANS = [["3600", "1 h"], ["86400", "24 h"], ["604800", "7 days"]];
  // Upper ends of what the statistics say: this share of all is above.
  const SHARES = [["min", 1], ["p10", 0.9], ["p50", 0.5], ["p90", 0.1], ["p99", 0.01], ["p999", 0.001]];

  async function pair(here, source, target) {
    const ways = [[source, target], [target, source]];
    const parts = { now: made("div", { id: "pair-now" }), history: made("div", { id: "pair-history" }), sweeps: made("div", { id: "pair-sweeps" }) };
    here.view.replaceChildren(made("h2", {}, `${source} and ${target}`),
      netmesh.diagnose(here, source, target), netmesh.diagnose(here, target, source),
      made("h3", {}, "Now"), parts.now, made("h3", {}, "Over time"), parts.history, made("h3", {}, "In the last sweeps"), parts.sweeps);
    for (const extra of [...here.view.querySelectorAll(".diagnose .muted")].slice(1)) extra.remove();
    here.view.querySelectorAll(".diagnose").forEach((one, place) => place && one.querySelectorAll("[id]").forEach((each) => each.removeAttribute("id")));
    here.view.hidden = false;
    await Promise.all([now(here, parts.now, ways), over(here, parts.history, ways), sweeps(here, parts.sweeps, ways)]);
  }

  /** A sentence where monitoring has nothing to say, instead of an error over the whole page. */
  async function unless(element, work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof api.Problem) || ![404, 503].includes(error.status)) throw error;
      element.replaceChildren(made("p", {}, `${error.message}.`));
    }
  }

  const now = (here, element, ways) => unless(element, async () => {
    const asked = ["p50", "max", "loss"];
    const found = await Promise.all(asked.map((statistic) => api.json(`api/v1/mesh?statistic=${statistic}&window=1m`, { signal: here.signal })));
    if (!here.alive()) return;
    const told = (mesh, [from, to]) => {
      const [row, column] = [mesh.sources.indexOf(from), mesh.targets.indexOf(to)];
      if (row < 0 || column < 0) return "not in the mesh now";
      const [number, reason] = [mesh.values[row][column], mesh.reasons[row][column]];
      return reason || units.full(number, units.scaleFor(mesh.value, mesh.unit, [number]));
    };
    element.replaceChildren(dom.table("The last minute, by the continuous probe", ["way", "median round trip", "most", "loss"],
      ways.map((way) => [way.join(" → "), ...found.map((mesh) => ({ number: told(mesh, way) }))])));
    here.later(10000, () => now(here, element, ways));
  });

  async function over(here, element, ways) {
    const plots = { times: made("div", { class: "plot", id: "history-times" }), loss: made("div", { class: "plot", id: "history-loss" }) };
    const note = made("p", { class: "muted", role: "status" });
    const show = (seconds) => here.guarded(() => unless(note, async () => {
      const histories = await Promise.all(ways.map(([from, to]) => netmesh.history.load(from, to, Number(seconds), here.signal)));
      if (!here.alive()) return;
      const known = await netmesh.history.draw(plots, ways.map((way, place) => ({ name: way.join(" → "), history: histories[place] })));
      plots.times.dataset.drawn = seconds;
      note.textContent = known ? gapsOf(histories) : "No minute of this pair is stored yet: history grows by a step a minute.";
    }));
    let span = SPANS[0][0];
    const chosen = (value) => show((span = value));
    // History grows by a step a minute.
    const again = () => here.later(60000, async () => {
      await show(span);
      again();
    });
    element.replaceChildren(made("div", { class: "controls" }, dom.choice("the last", SPANS, span, chosen)), plots.times, plots.loss, note);
    await show(span);
    again();
  }

  /** Why steps have no figure, by reason. */
  function gapsOf(histories) {
    const counts = new Map();
    for (const reason of histories.flatMap(({ reasons }) => reasons)) if (reason) counts.set(reason, (counts.get(reason) || 0) + 1);
    const told = [...counts].map(([reason, count]) => `${count} ${reason}`).join(", ");
    return told ? `Steps without a figure, both ways: ${told}.` : "Every step has a figure.";
  }

  async function sweeps(here, element, ways) {
    const { runs } = await api.json(`api/v1/runs?limit=${LAST_RUNS}`);
    const found = await Promise.all(runs.flatMap(({ run }) => ways.map(async ([from, to]) => {
      const asked = new URLSearchParams({ source: from, target: to, limit: 100 });
      return (await api.json(`api/v1/runs/${encodeURIComponent(run.id)}/cells?${asked}`)).cells.map((cell) => ({ run, cell }));
    })));
    if (!here.alive()) return;
    const cells = found.flat();
    if (!cells.length) {
      element.replaceChildren(made("p", {}, "None of the last runs has measured this pair. Start one on the page ", dom.link("Sweep", "#sweep"), "."));
      return;
    }
    const rows = cells.flatMap(({ run, cell }) => rowsOf(here, run, cell));
    const plot = made("div", { class: "plot", id: "pair-distribution" });
    element.replaceChildren(
      dom.table("Of each way, the latest run first", ["run", "way", "test", "value", "mean", "50 %", "99 %", "hosts' CPU, source and target"], rows), plot);
    await distribution(here, plot, cells);
  }

  function rowsOf(here, run, cell) {
    const way = `${cell.source} → ${cell.target}`;
    // An element stands in one place only: each row gets a link of its own.
    const head = () => [dom.link(run.name || run.id, `#run/${encodeURIComponent(run.id)}`), way, `${cell.path}, ${cell.test}, ${cell.parameters.instrument}`];
    if (cell.reason && cell.outcome !== "measured") return [[...head(), made("span", { class: "bad" }, cell.reason.code), cell.reason.message, "", "", ""]];
    return Object.entries(cell.values).filter(([, summary]) => summary !== null).slice(0, 4).map(([name, summary]) => {
      const unit = name.endsWith("bits_per_second") ? "bit/s" : name.endsWith("_seconds") ? "s" : name.endsWith("_bytes") ? "B" : name.endsWith("per_second") ? "1/s" : "1";
      const scale = units.scaleFor(name, unit, [summary.mean]);
      const told = (number) => ({ number: number === null || number === undefined ? "" : units.full(number, scale) });
      return [...head(), (here.words.values[name] || { label: name }).label, told(summary.mean), told(summary.p50), told(summary.p99), hosts(cell)];
    });
  }

  /** How many cores were busy at both ends. */
  function hosts(cell) {
    const busy = (host) => {
      const cores = host && host.cpu_cores && host.cpu_cores.busy;
      return cores === null || cores === undefined ? (host && host.shared_host ? "shared host" : "not known") : `${units.digits(cores)} cores`;
    };
    return cell.hosts ? `${busy(cell.hosts.source)}; ${busy(cell.hosts.target)}` : "not known";
  }

  /** Latencies of the latest run that has any: the network's and the hosts' share, by the percentiles that are stored. */
  async function distribution(here, plot, cells) {
    const latest = cells.find(({ cell }) => latencies(cell).length);
    if (!latest) return;
    const curves = cells.filter(({ run, cell }) => run.id === latest.run.id && latencies(cell).length).flatMap(({ cell }) =>
      latencies(cell).map(([name, summary]) => {
        const points = SHARES.filter(([share]) => summary[share] !== null && summary[share] !== undefined && summary[share] > 0);
        return { name: `${cell.source} → ${cell.target}, ${(here.words.values[name] || { label: name }).label}`, count: summary.count,
          values: points.map(([share]) => summary[share]), above: points.map(([, above]) => above) };
      })).slice(0, 6);
    const scale = units.scaleFor("round_trip_seconds", "s", curves.flatMap(({ values }) => values));
    await netmesh.distribution.observations(plot, curves, scale, "time");
  }

  const latencies = (cell) => Object.entries(cell.values).filter(([name, summary]) =>
    summary && summary.count > 1 && ["round_trip_seconds", "network_round_trip_seconds", "host_seconds", "connect_seconds"].includes(name));

  netmesh.pages = { ...netmesh.pages, pair };
})((window.netmesh = window.netmesh || {}));
