// Lists: runs and nodes, asked for again while they are open.
(function (netmesh) {
  "use strict";

  const { api, dom, units } = netmesh;
  const element = (id) => document.getElementById(id);
  const AGAIN_MILLISECONDS = 5000;

  function list(title, heads, rows, empty, ...more) {
    element("list").hidden = false;
    element("list").querySelector("h2").textContent = title;
    dom.renewed(element("list").querySelector("div"), rows.length ? dom.table(null, heads, rows) : dom.made("p", {}, empty), ...more);
  }

  async function runs(here) {
    const after = here.query.get("after");
    const { runs: told, next } = await api.json(`api/v1/runs?limit=100${after ? `&after=${encodeURIComponent(after)}` : ""}`, { signal: here.signal });
    const found = told.map(({ run, outcomes }) => {
      const all = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
      const name = dom.link(run.name || run.id, `#run/${encodeURIComponent(run.id)}`);
      return [name, run.state, dom.moment(run.started_at), { number: `${outcomes.measured || 0} of ${all}` }];
    });
    if (!here.alive()) return;
    list("Runs", ["run", "state", "started (UTC)", "cells measured"], found,
      "No run yet. Start one on the page Sweep, or with: netmesh-controller sweep --controller " + location.href.split("#")[0],
      after && dom.made("p", {}, dom.link("the latest runs", "#runs")),
      next && dom.made("p", {}, dom.link("runs before these", `#runs?after=${encodeURIComponent(next)}`)));
    here.later(AGAIN_MILLISECONDS, () => runs(here));
  }

  const why = ({ code, message }) => dom.made("span", { class: "bad" }, `${code}: ${message}`);

  async function nodes(here) {
    const [{ nodes: there, unreachable, remarks, asked_at: asked }, checked] = await Promise.all(
      [api.json("api/v1/nodes", { signal: here.signal }), checks(here)]);
    if (!here.alive()) return;
    const rows = there.map(({ name, zone, agents }) => [
      name, zone || "", (agents || []).map(({ role, address }) => `${role} ${address}`).join(", "),
      unreachable[name] ? why(unreachable[name]) : "answers",
    ]);
    for (const [name, reason] of Object.entries(unreachable)) {
      if (!there.some((one) => one.name === name)) rows.push([name, "", "", why(reason)]);
    }
    list("Nodes", ["node", "zone", "agents", "now"], rows,
      "No agent answers: look at the agents' pods, and at the controller's log.",
      remarks.length && dom.made("ul", {}, remarks.map((one) => dom.made("li", {}, one))),
      checked.length && dom.table("Checks, the last minute (serve --check)", CHECK_HEADS, checked),
      dom.made("p", { class: "muted" }, `As the agents answered at ${asked.slice(11, 19)} UTC; they are asked again while this page is open.`));
    here.later(AGAIN_MILLISECONDS, () => nodes(here));
  }

  const CHECK_HEADS = ["node", "check", "answered", "time, a median", "most", "why the last one failed"];

  /** What each node's checks reached, failures first; none where monitoring is off or has no window yet. */
  async function checks(here) {
    const time = (seconds) => ({ number: seconds === null ? "" : units.full(seconds, units.scaleFor("", "s", [seconds])) });
    try {
      const found = (await api.json("api/v1/checks", { signal: here.signal })).checks;
      return [...found].sort((a, b) => b.failed - a.failed).map((one) => [
        one.node, one.check, { number: `${one.count - one.failed} of ${one.count}` }, time(one.median_of_medians_seconds), time(one.max_seconds),
        one.failed ? dom.made("span", { class: "bad" }, `${one.reason}: ${one.message}`) : ""]);
    } catch (error) {
      if (error instanceof api.Problem && [404, 503].includes(error.status)) return [];
      throw error;
    }
  }

  netmesh.pages = { ...netmesh.pages, runs, nodes };
})((window.netmesh = window.netmesh || {}));
