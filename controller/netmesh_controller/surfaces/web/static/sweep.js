// A sweep: asked for, estimated, started, and watched cell by cell as it goes.
(function (netmesh) {
  "use strict";

  const { units, api, dom } = netmesh;
  const { made } = dom;
  const TESTS = ["tcp-bandwidth", "udp-bandwidth", "tcp-latency", "udp-latency", "tcp-connect", "path-mtu"];
  const PATHS = ["pod-to-pod", "pod-to-service", "host-to-host"];
  const LAST_CELLS = 12;
  const AGAIN_MILLISECONDS = 5000;
  // Of more the matrices take the controller a while, which it has no time for now: they are behind the link.
  const MOST_DRAWN = 10000;

  const bytes = (count) => (count === null ? "not known" : units.full(count, units.scaleFor("bytes", "B", [count])));

  function outlined(outline, remarks) {
    return made("div", {},
      made("p", {}, `${outline.measurements} measurements over ${outline.nodes.length} nodes, about ${dom.lasting(outline.expected_seconds)} ` +
        `(at least ${dom.lasting(outline.lower_bound_seconds)}), ${bytes(outline.traffic_bytes)} of traffic.`),
      outline.gaps.length ? made("ul", {}, outline.gaps.map((gap) => made("li", {}, `${gap.cells} cells will have no value: ${gap.message}`))) : null,
      remarks.length ? made("ul", { class: "muted" }, remarks.map((remark) => made("li", {}, remark))) : null);
  }

  async function ask(here) {
    const list = made("div");
    const known = async () => {
      const { sweeps } = await api.json("api/v1/sweeps", { signal: here.signal });
      dom.renewed(list, sweeps.length
        ? dom.table(null, ["run", "state"], sweeps.map((one) => [dom.link(one.name || one.run, `#sweep/${encodeURIComponent(one.run)}`), one.state]))
        : made("p", {}, "None yet."));
    };
    const again = async () => {
      await known();
      here.later(AGAIN_MILLISECONDS, again);
    };
    await known();
    if (!here.alive()) return;
    const box = (name, value, checked) => made("label", { class: "check" }, made("input", { type: "checkbox", name, value, checked }), value);
    const field = (name, label, value) => made("label", {}, label, made("input", { name, value, size: 8, autocomplete: "off" }));
    const told = made("div", { role: "status" });
    // Agents are asked first, which takes a while: nothing is started twice meanwhile.
    const doing = (words, work) => here.guarded(async () => {
      const buttons = [...form.querySelectorAll("button")];
      buttons.forEach((one) => { one.disabled = true; });
      told.replaceChildren(made("p", { class: "muted" }, words));
      try {
        await work();
      } finally {
        buttons.forEach((one) => { one.disabled = false; });
        if (told.firstChild && told.firstChild.textContent === words) told.replaceChildren();
      }
    });
    const form = made("form", { id: "sweep-form" },
      made("fieldset", {}, made("legend", {}, "Paths"), PATHS.map((path) => box("paths", path, path === "pod-to-pod"))),
      made("fieldset", {}, made("legend", {}, "Tests"), TESTS.map((test) => box("tests", test, test.startsWith("tcp-bandwidth") || test === "tcp-latency"))),
      made("div", { class: "controls" }, field("duration", "each lasts", "5s"), field("repeat", "repeats", "1"), field("rate", "rate, such as 100M", ""),
        field("name", "name", "")),
      made("p", {}, dom.button("What would it do?", () => doing("The agents are asked.", () => dry(here, form, told))), " ",
        made("button", { id: "start" }, "Start")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      doing("The agents are asked, then it starts.", async () => {
        const { options, name } = asked(form);
        const started = await api.send("POST", "api/v1/sweeps", { options, ...(name ? { name } : {}) });
        location.hash = `#sweep/${encodeURIComponent(started.run)}`;
      });
    });
    here.view.replaceChildren(made("h2", {}, "Sweep"),
      made("p", {}, "Measures every ordered pair of nodes, one test at a time at each node. It loads the network: ask first what it would do."),
      form, told,
      made("h3", {}, "Sweeps since this controller started"), list);
    here.view.hidden = false;
    here.later(AGAIN_MILLISECONDS, again);
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
    const seen = { cells: 0, last: [], gaps: new Map() };
    const parts = {
      bar: made("progress", { max: about.planned, value: 0, "aria-label": "cells that ended" }), told: made("p", { role: "status" }),
      running: made("div"), gaps: made("ul", { id: "sweep-gaps", class: "notes" }), cells: made("div", { id: "sweep-cells" }),
      mesh: dom.link("its mesh so far", `#run/${encodeURIComponent(about.run)}`),
      cancel: dom.button("Cancel; what is measured is kept", () => here.guarded(async () => {
        await api.send("DELETE", where);
        ending();
      }), { id: "cancel" }),
    };
    const ending = () => Object.assign(parts.cancel, { disabled: true, textContent: "It is being cancelled" });
    if (about.cancelling) ending();
    here.view.replaceChildren(made("h2", {}, about.name || about.run), outlined(about.outline, about.remarks),
      made("p", {}, parts.bar), parts.told, made("p", {}, parts.cancel, " ", parts.mesh), parts.gaps, parts.running, parts.cells);
    here.view.hidden = false;
    const drawn = () => {
      seen.waits = false;
      parts.gaps.replaceChildren(...[...seen.gaps].map(([code, { count, message }]) => made("li", {},
        made("span", { class: "bad" }, `${count} without a figure, ${code}: `), message)));
      parts.cells.replaceChildren(seen.cells ? dom.table(`The last ${seen.last.length} of ${seen.cells} cells`, ["pair", "test", "figure"],
        seen.last.map((cell) => [`${cell.source} → ${cell.target}`, `${cell.path}, ${cell.test}`, figure(cell)])) : "");
    };
    // A page that is opened late is told of thousands of cells at once.
    const soon = () => {
      if (!seen.waits) requestAnimationFrame(drawn);
      seen.waits = true;
    };
    // The run's own page, below: it draws itself again while the run is measured.
    const mesh = async () => {
      if (about.planned <= MOST_DRAWN) await netmesh.pages.run(here, about.run);
    };
    await api.events(`${where}/events`, (kind, data) => {
      if (!here.alive()) return;
      if (kind === "reset") {
        Object.assign(seen, { cells: 0, last: [] });
        seen.gaps.clear();
      }
      if (kind === "lost") parts.told.textContent = dom.LOST;
      if (kind === "cell") {
        if (++seen.cells === 1) here.later(1000, mesh);
        seen.last = [data, ...seen.last].slice(0, LAST_CELLS);
        // Each message is of one pair: the last one stands for all of its reason.
        if (data.reason) seen.gaps.set(data.reason.code, { count: (seen.gaps.get(data.reason.code) || { count: 0 }).count + 1, message: data.reason.message });
        soon();
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
        parts.mesh.textContent = "its mesh, findings and reports";
        Object.assign(parts.bar, { max: data.planned, value: data.measured + data.gaps });
        parts.told.textContent = `${data.state}: ${data.measured} of ${data.planned} cells measured, ${data.gaps} gaps.`;
        drawn();
        here.kept(mesh);
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
