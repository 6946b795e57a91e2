// What the nodes ask beside the continuous probe: Services, names, the API server, what is outside. A row a check.
(function (netmesh) {
  "use strict";

  const { units, api, dom } = netmesh;
  const { made } = dom;
  const MOST_NODES = 3;

  const total = (all, name) => all.reduce((sum, one) => sum + one[name], 0);

  function times(all, name) {
    const known = all.map((one) => one[name]).filter((seconds) => seconds !== null);
    const scale = units.scaleFor("round_trip_seconds", "s", known);
    return known.sort((a, b) => a - b).map((seconds) => units.full(seconds, scale));
  }

  /** Where a check failed, the worst nodes first, each with what its last failure was. */
  function failures(all) {
    const failing = all.filter((one) => one.failed).sort((a, b) => b.failed / b.count - a.failed / a.count);
    const told = failing.slice(0, MOST_NODES).map((one) =>
      made("div", { class: "bad" }, `${one.node}: ${one.failed} of ${one.count} failed${one.reason ? `, ${one.reason}` : ""}${one.message ? `: ${one.message}` : ""}`));
    const more = failing.length - MOST_NODES;
    return made("div", {}, told.length ? told : "nowhere", more > 0 ? made("div", {}, `and at ${more} more`) : null);
  }

  function row([name, all]) {
    const [medians, most] = [times(all, "median_of_medians_seconds"), times(all, "max_seconds")];
    return [
      name, { number: `${all.length}` }, { number: `${total(all, "count")}` },
      { number: medians.length ? `${medians[0]} to ${medians[medians.length - 1]}` : "none" },
      { number: most.length ? most[most.length - 1] : "none" }, failures(all),
    ];
  }

  /** What became of all checks over a window, into an element; nothing where none is configured. */
  async function checks(here, element, window) {
    let found;
    try {
      ({ checks: found } = await api.json(`api/v1/checks?window=${window}`, { signal: here.signal }));
    } catch (error) {
      if (!(error instanceof api.Problem)) throw error;
      dom.renewed(element, made("p", {}, `What became of checks cannot be told now: ${error.message}.`));
      return;
    }
    if (!here.alive()) return;
    const by = new Map();
    for (const one of found) by.set(one.check, [...(by.get(one.check) || []), one]);
    const heads = ["check", "nodes", "asked", "a node's median answer, least to most", "longest", "where it failed"];
    dom.renewed(element, by.size ? [made("h3", {}, "Checks"), dom.table(null, heads, [...by].map(row))] : []);
  }

  netmesh.checks = checks;
})((window.netmesh = window.netmesh || {}));
