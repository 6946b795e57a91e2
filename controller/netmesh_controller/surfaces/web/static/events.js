// What opened, changed and closed in the mesh; what is open comes first.
(function (netmesh) {
  "use strict";

  const { api, dom } = netmesh;
  const { made } = dom;
  const AGAIN_MILLISECONDS = 2000;
  const STATES = [["", "open and closed"], ["open", "open"], ["closed", "closed"]];

  function place(here, { where }) {
    if (where.source && where.target) return dom.link(`${where.source} → ${where.target}`, here.pair([where.source, where.target]));
    return where.node || [where.source_zone, where.target_zone].filter(Boolean).join(" → ") || Object.values(where).join(", ");
  }

  async function events(here) {
    const state = here.query.get("state") || "";
    here.view.hidden = false;
    const { events: found } = await api.json(`api/v1/events?limit=200${state ? `&state=${state}` : ""}`, { signal: here.signal });
    if (!here.alive()) return;
    const sorted = [...found].sort((a, b) => Boolean(a.closed_at) - Boolean(b.closed_at) || (a.opened_at < b.opened_at ? 1 : -1));
    const rows = sorted.map((event) => [
      made("span", { class: event.closed_at ? "muted" : "bad" }, event.closed_at ? "✓ closed" : "● open"),
      event.finding.kind, place(here, event.finding), event.finding.sentence, dom.second(event.since),
      event.closed_at ? `${dom.second(event.closed_at)}${event.cause ? `, ${event.cause}` : ""}` : event.changed_at ? `changed ${dom.second(event.changed_at)}` : "",
    ]);
    const set = (value) => { location.hash = value ? `#events?state=${value}` : "#events"; };
    if (!here.view.querySelector("#events-list")) {
      here.view.replaceChildren(made("h2", {}, "Events"), made("div", { class: "controls" }, dom.choice("state", STATES, state, set)), made("div", { id: "events-list" }));
    }
    dom.renewed(here.view.querySelector("#events-list"), rows.length
      ? dom.table(null, ["", "what", "where", "in words", "since (UTC)", "until (UTC)"], rows)
      : made("p", {}, state === "closed" ? "Nothing has closed." : "Nothing is wrong, as far as the continuous probe sees: an event opens when three windows of 5 s have a finding."));
    here.view.hidden = false;
    here.later(AGAIN_MILLISECONDS, () => events(here));
  }

  netmesh.pages = { ...netmesh.pages, events };
})((window.netmesh = window.netmesh || {}));
