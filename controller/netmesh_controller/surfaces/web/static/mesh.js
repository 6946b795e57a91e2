// The mesh as it is watched all the time: a figure or a reason for every ordered pair, drawn again as windows end.
(function (netmesh) {
  "use strict";

  const { units, api, dom } = netmesh;
  const { made } = dom;
  const AGAIN_MILLISECONDS = 5000;
  const MOST_EVENTS = 5;
  const MOST_NAMES = 12;
  const STATISTICS = [
    ["p50", "round trip, median"], ["min", "round trip, least"], ["max", "round trip, most"], ["loss", "loss"],
    ["sent", "probes answered or lost"], ["lost", "probes lost"],
  ];
  const WINDOWS = [["10s", "10 s"], ["1m", "1 min"], ["10m", "10 min"], ["1h", "1 h"]];
  const TESTS = [["udp-latency", "udp-latency, by STAMP"], ["tcp-bandwidth", "tcp-bandwidth, in the background"]];
  const LABELS = { sent: { label: "probes", more: true }, lost: { label: "probes lost", more: false } };

  /** The answer of /api/v1/mesh as matrix.js wants it. */
  function matrixOf(mesh, words) {
    const codes = [""];
    const [rows, columns] = [mesh.sources.length, mesh.targets.length];
    const numbers = new Float64Array(rows * columns).fill(NaN);
    const reasons = new Uint8Array(rows * columns);
    for (let at = 0; at < numbers.length; at++) {
      const [row, column] = [Math.floor(at / columns), at % columns];
      const code = mesh.reasons[row][column];
      if (code === null) {
        numbers[at] = mesh.values[row][column];
        continue;
      }
      if (!codes.includes(code)) codes.push(code);
      reasons[at] = codes.indexOf(code);
    }
    const word = LABELS[mesh.value] || words.values[mesh.value] || { label: mesh.value, more: false };
    return { ...mesh, numbers, reasons, codes, ...word };
  }

  const age = (mesh) => (Date.now() - Date.parse(mesh.window_started_at)) / 1000;

  function explained(here, mesh, matrix, notes, at) {
    const [source, target] = netmesh.matrix.pair(matrix, at);
    if (source === target) return [source, "a node does not probe itself"];
    const code = matrix.codes[matrix.reasons[at]];
    const columns = mesh.targets.length;
    const of = (table) => table[Math.floor(at / columns)][at % columns];
    return [
      `${source} → ${target}`,
      code ? `no figure: ${code}` : `${matrix.label}: ${units.full(matrix.numbers[at], matrix.scale)}`,
      ...(code ? [reasonsOf(here, mesh)[code] || ""] : []),
      ...(mesh.ages ? tested(of(mesh.ages)) : [
        of(mesh.sent) === null ? "no probe's fate is known" : `${of(mesh.sent)} probes`,
        `the window began ${dom.lasting(age(mesh))} ago`,
      ]),
      ...[source, target].filter((name) => notes.has(name)).map((name) => `${name}: ${notes.get(name)}`),
    ];
  }

  const tested = (seconds) => seconds === null ? [] : [`tested ${dom.lasting(seconds)} ago`];

  /** What the codes of gaps mean here: of tests in the background one means something else. */
  const reasonsOf = (here, mesh) =>
    mesh.ages ? { ...here.words.reasons, not_scheduled: "its turn has not come yet" } : { ...here.words.reasons, not_applicable: "a node does not probe itself" };

  /** What is to be known of a node's figures, in words; nothing of most. */
  function note(node) {
    return [
      node.reason && `it tells nothing (${(node.message || node.reason).replace(`${node.name}: `, "")})`,
      node.own_traffic && "netmesh's own tests ran there",
      node.signs.length && `its agent was held up (${node.signs.join(", ")})`,
      node.fresh && "it is new, or was started again",
    ].filter(Boolean).join("; ");
  }

  /** Nodes of which the same is to be known, by its words. */
  function together(notes) {
    const by = new Map();
    for (const [name, text] of notes) by.set(text, [...(by.get(text) || []), name]);
    return [...by].map(([text, names]) => [names.length > MOST_NAMES ? [...names.slice(0, MOST_NAMES), `${names.length - MOST_NAMES} more`] : names, text]);
  }

  function frame(here, again) {
    const set = (name) => (value) => {
      here.query.set(name, value);
      history.replaceState(null, "", `#mesh?${here.query}`);
      again();
    };
    const asked = (name, otherwise) => here.query.get(name) || otherwise;
    const probed = asked("test", "udp-latency") === "udp-latency";
    // Another test has other controls: the page is made anew.
    const test = (value) => {
      here.query.set("test", value);
      location.hash = `#mesh?${here.query}`;
    };
    const parts = {
      events: made("ul", { class: "findings", id: "mesh-events" }),
      title: made("h3", { id: "mesh-title" }), spread: made("p"), heatmap: made("div", { id: "mesh-heatmap", class: "heatmap", "aria-labelledby": "mesh-title" }),
      gaps: made("div"), worst: made("div", { id: "worst", class: "scroll" }), nodes: made("ul", { class: "notes" }),
      checks: made("div", { id: "mesh-checks" }), table: made("div", { id: "table", class: "scroll" }), age: made("p", { class: "muted", role: "status" }),
    };
    parts.details = made("details", { id: "as-table", ontoggle: again }, made("summary", {}, "The same as a table"), parts.table);
    here.view.replaceChildren(
      made("h2", {}, "Mesh, now"),
      made("div", { class: "controls" },
        dom.choice("path", [["pod-to-pod", "pod-to-pod"]], "pod-to-pod", () => undefined),
        dom.choice("test", TESTS, asked("test", "udp-latency"), test),
        ...(probed ? [
          dom.choice("statistic", STATISTICS, asked("statistic", "p50"), set("statistic")),
          dom.choice("window", WINDOWS, asked("window", "1m"), set("window")),
        ] : []),
        dom.choice("colours", [["robust", "robust: the middle 96 %"], ["fixed", "fixed: from 0"]], asked("colours", "robust"), set("colours"))),
      parts.events, parts.title, parts.age, parts.spread,
      made("div", { class: "figure" },
        made("div", {}, parts.heatmap, made("p", { class: "muted" },
          "Rows send to columns; zones lie side by side. Darker is worse; hatched is a gap with a reason, plain grey was not to be measured. " +
          "A click, or Enter, opens the pair. Drag to zoom, double click to go back.")),
        made("div", {}, parts.nodes, parts.gaps, parts.worst)),
      parts.checks, parts.details);
    here.view.hidden = false;
    return parts;
  }

  async function mesh(here) {
    let parts = null;
    let turn = 0;
    const again = () => here.guarded(() => draw(++turn));

    async function draw(mine) {
      const [statistic, window] = [here.query.get("statistic") || "p50", here.query.get("window") || "1m"];
      const test = here.query.get("test") || "udp-latency";
      let found;
      try {
        found = await api.json(`api/v1/mesh?test=${test}&statistic=${statistic}&window=${window}`, { signal: here.signal });
      } catch (error) {
        if (error instanceof api.Problem && error.code === "no_background" && here.alive()) {
          here.view.hidden = false;
          here.view.replaceChildren(made("h2", {}, "Mesh, now"),
            made("p", { role: "status" }, "Bandwidth is not tested in the background here. It is off by default: start the controller with " +
              "serve --background-bandwidth SIZE, the bytes that it may take a day."),
            made("p", {}, made("a", { href: "#mesh" }, "The continuous probe")));
          return;
        }
        if (!(error instanceof api.Problem) || error.code !== "no_window") throw error;
        if (!here.alive()) return;
        here.view.hidden = false;
        here.view.replaceChildren(made("h2", {}, "Mesh, now"), made("p", { role: "status" },
          "The agents have just begun to probe each other. The first window ends within 7 s; this page shows it then."));
        parts = null;
        here.later(1000, () => draw(turn));
        return;
      }
      if (!here.alive() || mine !== turn) return;
      parts = parts || frame(here, again);
      await show(here, parts, found);
      await wrong(here, parts.events);
      if (!found.ages) await netmesh.checks(here, parts.checks, window);
      if (mine === turn) here.later(AGAIN_MILLISECONDS, () => (mine === turn ? draw(mine) : undefined));
    }

    await draw(turn);
  }

  /** What is wrong now, in words: the events that are open. */
  async function wrong(here, element) {
    let events;
    try {
      ({ events } = await api.json(`api/v1/events?state=open&limit=${MOST_EVENTS + 1}`, { signal: here.signal }));
    } catch (error) {
      if (!(error instanceof api.Problem)) throw error;
      // The store is away, and the mesh is watched on.
      dom.renewed(element, made("li", {}, `What is open cannot be told now: ${error.message}.`));
      return;
    }
    if (!here.alive()) return;
    const more = events.length > MOST_EVENTS ? [made("li", {}, dom.link("all that is open", "#events?state=open"))] : [];
    dom.renewed(element, events.slice(0, MOST_EVENTS).map(({ finding, since }) =>
      made("li", {}, made("span", { class: "kind" }, finding.kind), `${finding.sentence} Since ${dom.second(since)} UTC; `, dom.link("events", "#events?state=open"))), more);
  }

  async function show(here, parts, mesh) {
    const matrix = matrixOf(mesh, here.words);
    const found = netmesh.matrix.summary(matrix);
    const scale = units.scaleFor(mesh.value, mesh.unit, found.sorted);
    const most = found.sorted.length ? found.sorted[found.sorted.length - 1] : 0;
    const zones = mesh.nodes.map((node) => node.zone);
    const notes = new Map(mesh.nodes.map((node) => [node.name, note(node)]).filter(([, text]) => text));
    const colours = mesh.value === "loss_ratio" ? lossRange(found) : netmesh.matrix.range(matrix, found, here.query.get("colours") || "robust", most);
    Object.assign(matrix, {
      scale, range: colours, zones: { sources: zones, targets: zones },
      link: here.pair,
      explain: (at) => explained(here, mesh, matrix, notes, at),
      open: (at) => {
        const pair = netmesh.matrix.pair(matrix, at);
        if (pair[0] !== pair[1]) location.hash = here.pair(pair);
      },
    });
    const statistic = STATISTICS.find(([name]) => name === (here.query.get("statistic") || "p50"))[1];
    const what = mesh.ages ? "TCP bandwidth, the last test of each pair" : statistic;
    parts.title.textContent = `${mesh.path}: ${what}${scale.unit ? `, ${scale.unit}` : ""}`;
    parts.age.textContent = mesh.ages ? toldOfTests(mesh) : `Since ${mesh.window_started_at.slice(11, 19)} UTC, over ${dom.lasting(mesh.window_seconds)} at most; drawn again every 5 s.`;
    dom.renewed(parts.nodes, together(notes).map(([names, text]) => made("li", {}, made("strong", {}, names.join(", ")), `: ${text}`)));
    await netmesh.heatmap(parts.heatmap, matrix);
    netmesh.told(parts, matrix, found, reasonsOf(here, mesh), matrix);
    if (parts.details.open) netmesh.table(parts.table, matrix, parts.title.textContent);
    parts.heatmap.dataset.drawn = `${mesh.statistic}/${mesh.window_seconds}/${mesh.window_started_at}`;
  }

  /** Which tests the figures are of, and that none can be above what was offered. */
  function toldOfTests(mesh) {
    const offered = mesh.parameters.offered_bits_per_second;
    const most = offered === null ? "a share of the line's rate" : units.full(offered, units.scaleFor("bits_per_second", "bit/s", [offered]));
    // A million ages are too many for the arguments of one call.
    const oldest = mesh.ages.reduce((most, row) => row.reduce((one, age) => Math.max(one, age ?? -1), most), -1);
    const since = oldest < 0 ? "" : ` The oldest is ${dom.lasting(oldest)} old.`;
    return `Each test is offered ${most}: a pair that carries all of it may carry more.${since} Drawn again every 5 s.`;
  }

  /** A loss of a probe in a thousand is pale, and from a twentieth on all is dark. */
  function lossRange(found) {
    const high = found.sorted.length ? found.sorted[found.sorted.length - 1] : 0;
    return [0, Math.max(0.05, high)];
  }

  netmesh.pages = { ...netmesh.pages, mesh };
})((window.netmesh = window.netmesh || {}));
