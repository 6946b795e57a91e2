// Two runs held against each other: sentences first, then paths and tests, then the cells that differ.
(function (netmesh) {
  "use strict";

  const { units, api, dom } = netmesh;
  const { made } = dom;
  const MOST_PAIRS = 100;
  const MARKS = { better: "▲ better", worse: "▼ worse", different: "◆ different", "not distinguishable": "= not distinguishable" };

  async function compare(here) {
    const { runs } = await api.json("api/v1/runs?limit=100");
    if (!here.alive()) return;
    here.view.hidden = false;
    if (runs.length < 2) {
      here.view.replaceChildren(made("h2", {}, "Compare"), made("p", {},
        `A comparison is of two runs, and there ${runs.length ? "is one" : "is none"} yet. Start another on the page `, dom.link("Sweep", "#sweep"), "."));
      return;
    }
    const ids = runs.map(({ run }) => run.id);
    const second = ids.includes(here.query.get("second")) ? here.query.get("second") : ids[0];
    const first = ids.includes(here.query.get("first")) ? here.query.get("first") : ids[Math.min(ids.indexOf(second) + 1, ids.length - 1)];
    const named = runs.map(({ run }) => [run.id, `${run.name || run.id}, ${dom.moment(run.started_at)}`]);
    const chosen = { first, second };
    const set = (name) => (value) => { location.hash = `#compare?${new URLSearchParams({ ...chosen, [name]: value })}`; };
    const told = made("div", { id: "comparison", "aria-busy": "true" }, made("p", { role: "status" }, "Comparing …"));
    here.view.replaceChildren(made("h2", {}, "Compare"), made("div", { class: "controls" },
      dom.choice("before", named, first, set("first")), dom.choice("after", named, second, set("second"))), told);
    if (first === second) {
      told.replaceChildren(made("p", {}, "Choose two different runs."));
      return;
    }
    const found = await api.json(`api/v1/comparison?${new URLSearchParams(chosen)}`, { signal: here.signal });
    if (here.alive()) show(here, told, found);
  }

  const series = ({ path, test, parameters }) => `${path}, ${test}, ${parameters.instrument}`;

  function effect({ how, size, low, high }, scale) {
    const text = (one) => (how === "ratio" ? `${(100 * (one - 1)).toFixed(1).replace(/^-0\.0$/, "0.0")} %` : units.full(one, scale));
    return low === null ? text(size) : `${text(size)} (${text(low)} to ${text(high)})`;
  }

  function show(here, told, found) {
    const word = (value) => (here.words.values[value] || { label: value }).label;
    const row = (one, what) => {
      const scale = units.scaleFor(one.value, one.unit, [one.first, one.second]);
      return [what, series(one), word(one.value), { number: units.full(one.first, scale) }, { number: units.full(one.second, scale) },
        { number: effect(one.effect, scale) }, made("span", { class: one.verdict === "worse" ? "bad" : one.verdict === "better" ? "good" : "" }, MARKS[one.verdict])];
    };
    const heads = ["path and test", "value", "before", "after", "change (interval)", "verdict"];
    const pairs = found.pairs.slice(0, MOST_PAIRS);
    told.removeAttribute("aria-busy");
    told.replaceChildren(
      made("ul", { class: "findings plain" }, found.sentences.map((sentence) => made("li", {}, sentence))),
      found.remarks.length ? made("ul", {}, found.remarks.map((remark) => made("li", {}, remark))) : "",
      found.groups.length ? dom.table("As a whole", ["pairs", ...heads],
        found.groups.map((group) => row(group, `${group.pairs} ${group.cells === "local" ? "within nodes" : "between nodes"}`)))
        : made("p", {}, "The two runs have no test in common: nothing can be compared."),
      pairs.length ? dom.table(`Cells that differ for themselves${pairs.length < found.pairs.length ? `: ${pairs.length} of ${found.pairs.length}` : ""}`,
        ["pair", ...heads], pairs.map((pair) => row(pair, dom.link(`${pair.source} → ${pair.target}`, here.pair([pair.source, pair.target])))))
        : made("p", {}, "No single cell differs by more than noise."),
      found.facts.length ? dom.table("What was not the same", ["", "before", "after"],
        found.facts.map((fact) => [fact.name, ...fact.answers.map((answers) => answers.join(", ") || "not known")])) : "");
  }

  netmesh.pages = { ...netmesh.pages, compare };
})((window.netmesh = window.netmesh || {}));
