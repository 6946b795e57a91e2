// Dark and light: as the system has it, until the reader chooses. Colours of plots come from the style sheet.
(function (netmesh) {
  "use strict";

  const root = document.documentElement;
  const listeners = [];

  /** A colour or other custom property of the style sheet, such as "--ink". */
  function style(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  function dark() {
    if (root.dataset.theme) return root.dataset.theme === "dark";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  /** Calls `redraw` whenever the colours change. */
  function onChange(redraw) {
    listeners.push(redraw);
  }

  function changed() {
    for (const redraw of listeners) redraw();
  }

  /** Makes a button that changes between dark and light. */
  function toggle(button) {
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      changed();
    });
    button.hidden = false;
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  netmesh.theme = { style, dark, onChange, toggle };
})((window.netmesh = window.netmesh || {}));
