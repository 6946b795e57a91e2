// Elements out of text: never out of markup, so that names of nodes and runs stay text.
(function (netmesh) {
  "use strict";

  /** An element with these properties (`class`, `on…` handlers and aria-… attributes too) and children or texts. */
  function made(kind, properties = {}, ...children) {
    const one = document.createElement(kind);
    for (const [name, what] of Object.entries(properties)) {
      if (name.startsWith("on")) one.addEventListener(name.slice(2), what);
      else if (name === "class" || name.includes("-") || name === "for") one.setAttribute(name, what);
      else one[name] = what;
    }
    one.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return one;
  }

  /** Puts children in place of those of an element. Where they are the same nothing is touched, so that a page that
   * asks again leaves what is marked in it; and who stands on a link stays on it. */
  function renewed(element, ...children) {
    const next = element.cloneNode(false);
    next.append(...children.flat().filter(Boolean));
    if (element.isEqualNode(next)) return;
    const at = element.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    element.replaceChildren(...next.childNodes);
    const same = at && [...element.querySelectorAll("a")].find((one) => one.getAttribute("href") === at);
    if (same) same.focus({ preventScroll: true });
  }

  const WIDE = 4;

  /** A table: heads are texts; cells are texts, elements, or {number: text}. A wide one stands as a list on a phone. */
  function table(caption, heads, rows) {
    const cell = (what, place) => what && what.number !== undefined && !(what instanceof Node)
      ? made("td", { class: "number", "data-head": heads[place] }, what.number)
      : made("td", { "data-head": heads[place] }, what === null || what === undefined ? "" : what);
    return made("div", { class: "scroll" }, made("table", { class: heads.length >= WIDE ? "wide" : "" },
      caption ? made("caption", {}, caption) : null,
      made("thead", {}, made("tr", {}, heads.map((head) => made("th", { scope: "col" }, head)))),
      made("tbody", {}, rows.map((row) => made("tr", {}, row.map(cell))))));
  }

  /** A labelled choice: values are [[value, text], …]. */
  function choice(label, values, chosen, changed) {
    const select = made("select", { onchange: () => changed(select.value) },
      values.map(([value, text]) => made("option", { value, selected: value === chosen }, text)));
    return made("label", {}, label, select);
  }

  const button = (text, clicked, more = {}) => made("button", { type: "button", onclick: clicked, ...more }, text);
  const link = (text, href) => made("a", { href }, text);

  /** A moment as people read it, in UTC. */
  const moment = (text) => (text ? `${text.slice(0, 16).replace("T", " ")}` : "");

  /** The same to the second: of what happened within one minute, the order is told. */
  const second = (text) => (text ? `${text.slice(0, 19).replace("T", " ")}` : "");

  /** A stretch of time in words. */
  function lasting(seconds) {
    if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
  }

  /** What a page says while nobody tells it what happens. */
  const LOST = "The controller does not answer. It is asked again all the time; what stands here is older.";

  netmesh.dom = { LOST, made, renewed, table, choice, button, link, moment, second, lasting };
})((window.netmesh = window.netmesh || {}));
