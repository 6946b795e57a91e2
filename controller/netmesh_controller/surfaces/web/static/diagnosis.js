// Why is this pair slow? Steps as they are made, then the verdicts with their evidence and what to do.
(function (netmesh) {
  "use strict";

  const { units, api, dom } = netmesh;
  const { made } = dom;

  async function start(here, source, target, quick) {
    const started = await api.send("POST", "api/v1/diagnoses", { source, target, quick });
    location.hash = `#diagnosis/${encodeURIComponent(started.run)}`;
  }

  /** Two buttons that start one, quick or whole. */
  function buttons(here, source, target) {
    return made("p", { class: "diagnose" },
      dom.button(`Diagnose ${source} → ${target}`, () => here.guarded(() => start(here, source, target, false)), { id: "diagnose" }), " ",
      dom.button("quickly", () => here.guarded(() => start(here, source, target, true)), { id: "diagnose-quick" }), " ",
      made("span", { class: "muted" }, "It measures this pair and others beside it, and so loads the network for a while."));
  }

  const figure = (number, unit) => (number === null ? "not known" : units.full(number, units.scaleFor("", unit, [number])));

  function verdict(one, place) {
    return made("li", { class: one.code === "healthy" ? "fine" : "" },
      made("p", {}, made("span", { class: "kind" }, one.code), `${one.sentence} `, made("span", { class: "muted" }, `${Math.round(100 * one.confidence)} % sure`)),
      one.advice ? made("p", {}, made("strong", {}, "What to do: "), one.advice) : null,
      made("p", { class: "muted" }, `More: docs/verdicts/${one.code}.md`),
      one.evidence.length ? made("details", { open: place === 0 }, made("summary", {}, "Evidence"), dom.table(null, ["what", "measured", "expected", "from"],
        one.evidence.map((fact) => [fact.what, { number: figure(fact.measured, fact.unit) }, { number: fact.expected === null ? "" : figure(fact.expected, fact.unit) }, fact.source]))) : null);
  }

  function found(diagnosis, run) {
    return made("div", { id: "verdicts" },
      made("ol", { class: "findings" }, diagnosis.verdicts.map(verdict)),
      diagnosis.unseen.length ? made("ul", { class: "muted" }, diagnosis.unseen.map((one) => made("li", {}, one))) : null,
      made("details", {}, made("summary", {}, `${diagnosis.steps.length} steps in ${dom.lasting(diagnosis.duration_seconds)}`),
        dom.table(null, ["step", "time", "cells", ""], diagnosis.steps.map((step) => [step.title, { number: dom.lasting(step.seconds) }, { number: step.cells }, step.reason || ""]))),
      made("p", {}, dom.link("the run with its cells", `#run/${encodeURIComponent(run)}`)));
  }

  async function diagnosis(here, run) {
    const where = `api/v1/diagnoses/${encodeURIComponent(run)}`;
    const about = await api.json(where);
    if (!here.alive()) return;
    const steps = made("ol", { id: "steps" });
    const told = made("p", { role: "status" });
    const answer = made("div");
    const cancel = dom.button("Cancel; what is measured is kept", () => here.guarded(() => api.send("DELETE", where)));
    here.view.replaceChildren(made("h2", {}, `${about.source} → ${about.target}: why?`),
      made("p", {}, dom.link("the pair", here.pair([about.source, about.target]))), told, cancel, answer, steps);
    here.view.hidden = false;
    const ended = (state, what) => {
      cancel.hidden = true;
      told.textContent = state === "complete" ? "" : `${state}: there is no verdict; what was measured is kept in the run.`;
      answer.replaceChildren(what ? found(what, about.run) : "");
      steps.hidden = Boolean(what);
    };
    if (about.state !== "running") return ended(about.state, about.diagnosis);
    told.textContent = "It looks at both hosts first.";
    await api.events(`${where}/events`, (kind, data) => {
      if (!here.alive()) return;
      if (kind === "step") {
        told.textContent = `Step ${data.number} of at most ${data.of}: ${data.title}`;
        steps.append(made("li", { value: data.number }, data.title));
      }
      if (kind === "reset") steps.replaceChildren();
      if (kind === "lost") told.textContent = dom.LOST;
      if (kind === "finished") ended(data.state, data.diagnosis);
    }, here.signal);
  }

  netmesh.diagnose = buttons;
  netmesh.pages = { ...netmesh.pages, diagnosis };
})((window.netmesh = window.netmesh || {}));
