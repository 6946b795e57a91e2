// The controller's pages: which one is shown stands behind the # of the address; the token is asked for once.
(function (netmesh) {
  "use strict";

  const { api } = netmesh;
  const element = (id) => document.getElementById(id);
  const SECTIONS = ["view", "list", "run", "token", "problem"];
  const FIRST = "runs";
  // Pages that are of something have its names behind a slash, each encoded by itself.
  const ROUTES = {
    mesh: "mesh", events: "events", runs: "runs", run: "run", nodes: "nodes", compare: "compare", sweep: "sweep",
    pair: "pair", diagnosis: "diagnosis",
  };
  // What to do, where what the controller says does not tell it.
  const ADVICE = {
    not_monitoring: "Start the controller without --no-monitor to see this; sweeps and their runs need no monitoring.",
    standby: "Its pages show the mesh.",
    no_sweep: "The page Runs has what is measured of it.",
    no_run: "The page Runs has all that there are.",
    no_diagnosis: "The page Runs has all that there are.",
  };
  const AGAIN_MILLISECONDS = 2000;
  let current = null;

  /** One visit to a page: what it may use, and whether it is still the one that is shown. */
  function visit(query) {
    const leaving = new AbortController();
    const timers = [];
    const here = {
      query, signal: leaving.signal, words: { values: {}, reasons: {} }, view: element("view"),
      alive: () => !leaving.signal.aborted,
      /** Does something after a while, unless the page is left by then; a tab that nobody sees waits. Where the
       * controller is away it is tried again: a page that stays open goes on by itself. */
      later: (milliseconds, work) => timers.push(setTimeout(async () => {
        if (document.hidden) here.later(1000, work);
        else await here.kept(work);
      }, milliseconds)),
      kept: async (work) => {
        if (!(await here.guarded(work))) return;
        element("problem").append(" It is asked again all the time.");
        here.later(AGAIN_MILLISECONDS, work);
      },
      guarded: (work) => guarded(here, work),
      pair: ([source, target]) => `#pair/${encodeURIComponent(source)}/${encodeURIComponent(target)}`,
      leave: () => {
        leaving.abort();
        timers.forEach(clearTimeout);
      },
    };
    return here;
  }

  function sentence({ message, code }) {
    const said = `${message.charAt(0).toUpperCase()}${message.slice(1)}`;
    return `${/[.?]$/.test(said) ? said : `${said}.`} ${ADVICE[code] || ""}`.trim();
  }

  /** Does it, and says in the page what went wrong: a token that is missing, or a sentence. Whether it may go well later. */
  async function guarded(here, work) {
    try {
      await work();
      if (here.alive()) element("problem").hidden = true;
      return false;
    } catch (error) {
      if (!here.alive() || error.name === "AbortError") return false;
      const refused = error instanceof api.Refused;
      element("token").hidden = !refused;
      element("problem").hidden = false;
      element("problem").textContent = refused ? "The token is missing, or is not this controller's." : sentence(error);
      if (refused) element("token-text").focus();
      return api.passes(error);
    }
  }

  function go() {
    if (current) current.leave();
    for (const id of SECTIONS) element(id).hidden = true;
    element("view").replaceChildren();
    const [place, query] = location.hash.slice(1).split("?");
    const [what, ...names] = place.split("/");
    const name = ROUTES[what] || FIRST;
    document.title = `${name.charAt(0).toUpperCase()}${name.slice(1)} - netmesh`;
    const here = (current = visit(new URLSearchParams(query || "")));
    for (const link of document.querySelectorAll("nav a")) {
      if (link.getAttribute("href") === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    here.kept(async () => {
      here.words = await (await api.ask("pages/words")).json();
      await netmesh.pages[name](here, ...names.map(decodeURIComponent));
    });
  }

  element("token").addEventListener("submit", (event) => {
    event.preventDefault();
    api.keep(element("token-text").value);
    go();
  });
  netmesh.theme.toggle(element("theme"));
  netmesh.theme.onChange(go);
  addEventListener("hashchange", go);
  go();
})((window.netmesh = window.netmesh || {}));
