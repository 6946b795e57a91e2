// A sweep: asked for, estimated, started, and watched cell by cell as it goes.
(function (netmesh) {
  "use strict";

  const { units, api, dom } = netmesh;
  const { made } = dom;
  const TESTS = ["tcp-bandwidth", "udp-bandwidth", "tcp-latency", "udp-latency", "tcp-connect", "path-mtu"];
  const PATHS = ["pod-to-pod", "pod-to-service", "host-to-host"];
  const LAST_CELLS = 12;

  const bytes = (count) => (count === null ? "not known" : units.full(count, units.scaleFor("bytes", "B", [count])));

  function outlined(outline, remarks) {
    return made("div", {},
      made("p", {}, `${outline.measurements} measurements over ${outline.nodes.length} nodes, about ${dom.lasting(outline.expected_seconds)} ` +
        `(at least ${dom.lasting(outline.lower_bound_seconds)}), ${bytes(outline.traffic_bytes)} of traffic.`),
      outline.gaps.length ? made("ul", {}, outline.gaps.map((gap) => made("li", {}, `${gap.cells} cells will have no value: ${gap.message}`))) : null,
      remarks.length ? made("ul", { class: "muted" }, remarks.map((remark) => made("li", {}, remark))) : null);
  }

  async function ask(here) {
    const { sweeps } = await api.json("api/v1/sweeps");
    if (!here.alive()) return;
    const box = (name, value, checked) => made("label", { class: "check" }, made("input", { type: "checkbox", name, value, checked }), value);
    const field = (name, label, value) => made("label", {}, label, made("input", { name, value, size: 8, autocomplete: "off" }));
    const told = made("div", { role: "status" });
    const form = made("form", { id: "sweep-form" },
      made("fieldset", {}, made("legend", {}, "Paths"), PATHS.map((path) => box("paths", path, path === "pod-to-pod"))),
      made("fieldset", {}, made("legend", {}, "Tests"), TESTS.map((test) => box("tests", test, test.startsWith("tcp-bandwidth") || test === "tcp-latency"))),
      made("div", { class: "controls" }, field("duration", "each lasts", "5s"), field("repeat", "repeats", "1"), field("rate", "rate, such as 100M", ""),
        field("name", "name", "")),
      made("p", {}, dom.button("What would it do?", () => here.guarded(() => dry(here, form, told))), " ",
        made("button", { id: "start" }, "Start")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      here.guarded(async () => {
        const { options, name } = asked(form);
        const started = await api.send("POST", "api/v1/sweeps", { options, ...(name ? { name } : {}) });
        location.hash = `#sweep/${encodeURIComponent(started.run)}`;
      });
    });
    here.view.replaceChildren(made("h2", {}, "Sweep"),
      made("p", {}, "Measures every ordered pair of nodes, one test at a time at each node. It loads the network: ask first what it would do."),
      form, told,
      made("h3", {}, "Sweeps since this controller started"),
      sweeps.length ? dom.table(null, ["run", "state"], sweeps.map((one) => [dom.link(one.name || one.run, `#sweep/${encodeURIComponent(one.run)}`), one.state]))
        : made("p", {}, "None yet."));
    here.view.hidden = false;
  }

  function asked(form) {
    const data = new FormData(form);
    const options = { paths: data.getAll("paths").join(","), tests: data.getAll("tests").join(","), duration: data.get("duration"), repeat: data.get("repeat") };
    if (data.get("rate")) options.rate = data.get("rate");
    for (const [what, value] of Object.entries(options)) if (!value) throw new Error(`${what}: choose at least one, or write a figure`);
    return { options, name: data.get("name") };
  }

  async function dry(here, form, told) {
    const { outline, remarks } = await api.send("POST", "api/v1/sweeps", { options: asked(form).options, dry_run: true });
    if (here.alive()) told.replaceChildren(outlined(outline, remarks));
  }

  async function watch(here, run) {
    const where = `api/v1/sweeps/${encodeURIComponent(run)}`;
    const about = await api.json(where);
    if (!here.alive()) return;
    const cells = [];
    const parts = {
      bar: made("progress", { max: about.planned, value: 0, "aria-label": "cells that ended" }), told: made("p", { role: "status" }),
      running: made("div"), cells: made("div", { id: "sweep-cells" }),
      cancel: dom.button("Cancel; what is measured is kept", () => here.guarded(() => api.send("DELETE", where)), { id: "cancel" }),
    };
    here.view.replaceChildren(made("h2", {}, about.name || about.run), outlined(about.outline, about.remarks),
      made("p", {}, parts.bar), parts.told, made("p", {}, parts.cancel, " ", dom.link("its mesh so far", `#run/${encodeURIComponent(about.run)}`)),
      parts.running, parts.cells);
    here.view.hidden = false;
    const drawn = () => {
      parts.cells.replaceChildren(dom.table(`The last ${Math.min(LAST_CELLS, cells.length)} of ${cells.length} cells`,
        ["pair", "test", "figure"], cells.slice(-LAST_CELLS).reverse().map((cell) => [`${cell.source} → ${cell.target}`, `${cell.path}, ${cell.test}`, figure(cell)])));
    };
    await api.events(`${where}/events`, (kind, data) => {
      if (!here.alive()) return;
      if (kind === "reset") cells.length = 0;
      if (kind === "cell") {
        cells.push(data);
        drawn();
      }
      if (kind === "progress") {
        Object.assign(parts.bar, { max: data.total, value: data.done });
        const left = data.left_seconds === null ? "nobody can tell how much longer" : `about ${dom.lasting(data.left_seconds)} left`;
        parts.told.textContent = `${data.done} of ${data.total} cells have ended, ${data.failed} of them as gaps; ${left}.`;
        parts.running.replaceChildren(data.running.length ? dom.table("Now", ["pair", "test", "since"],
          data.running.map((one) => [`${one.source} → ${one.target}`, one.test, { number: dom.lasting(one.elapsed_seconds) }])) : "");
      }
      if (kind === "finished") {
        parts.running.replaceChildren();
        parts.cancel.hidden = true;
        Object.assign(parts.bar, { max: data.planned, value: data.measured + data.gaps });
        parts.told.textContent = `${data.state}: ${data.measured} of ${data.planned} cells measured, ${data.gaps} gaps.`;
      }
    }, here.signal);
  }

  /** A cell's first value, or why it has none. */
  function figure(cell) {
    if (cell.reason) return `${cell.reason.code}: ${cell.reason.message}`;
    const [name, number] = Object.entries(cell.values).find(([, value]) => value !== null) || [];
    if (name === undefined) return "";
    const unit = name.endsWith("bits_per_second") ? "bit/s" : name.endsWith("_seconds") ? "s" : name.endsWith("_bytes") ? "B" : "1";
    return units.full(number, units.scaleFor(name, unit, [number]));
  }

  netmesh.pages = { ...netmesh.pages, sweep: (here, run) => (run ? watch(here, run) : ask(here)) };
})((window.netmesh = window.netmesh || {}));
