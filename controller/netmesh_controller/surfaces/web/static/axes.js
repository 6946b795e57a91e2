// Axes of a heatmap: as many node names as there is room for, lines between zones, names of zones beside them.
(function (netmesh) {
  "use strict";

  const LABEL_PIXELS = 15;
  const STEPS = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500];

  /** Places and texts of the labels of one axis that shows `from` to `to` (places of names) on so many pixels. */
  function ticks(names, from, to, pixels) {
    const first = Math.max(0, Math.ceil(from));
    const last = Math.min(names.length - 1, Math.floor(to));
    const least = ((last - first + 1) * LABEL_PIXELS) / Math.max(pixels, 1);
    const step = STEPS.find((size) => size >= least) || Math.ceil(least);
    const tickvals = [];
    for (let place = Math.ceil(first / step) * step; place <= last; place += step) tickvals.push(place);
    return { tickvals, ticktext: tickvals.map((place) => escaped(names[place])) };
  }

  /** Text for plotly, which reads some HTML in labels. */
  function safe(text) {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  /** The same, no longer than an axis has room for. */
  function escaped(text) {
    return safe(text.length > 28 ? `${text.slice(0, 12)}…${text.slice(-13)}` : text);
  }

  /** Runs of neighbours in one zone: [{zone, from, to}, …]; empty where there are no two zones. */
  function runs(zones) {
    const found = [];
    zones.forEach((zone, place) => {
      const last = found[found.length - 1];
      if (last && last.zone === zone) last.to = place;
      else found.push({ zone, from: place, to: place });
    });
    return found.length > 1 ? found : [];
  }

  /** Lines between zones, as plotly's shapes, across both axes. */
  function borders(rows, columns, counts, colour) {
    const line = { color: colour, width: 1.5 };
    const across = runs(rows).slice(1).map(({ from }) => ({
      type: "line", x0: -0.5, x1: counts.columns - 0.5, y0: from - 0.5, y1: from - 0.5, line,
    }));
    const down = runs(columns).slice(1).map(({ from }) => ({
      type: "line", x0: from - 0.5, x1: from - 0.5, y0: -0.5, y1: counts.rows - 0.5, line,
    }));
    return [...across, ...down];
  }

  /** Names of zones above the columns, where each has room for its name. */
  function zoneNames(columns, pixels, colour) {
    const found = runs(columns);
    const each = pixels / Math.max(columns.length, 1);
    return found
      .filter(({ zone, from, to }) => (to - from + 1) * each >= Math.min((zone || "no zone").length, 24) * 6.5)
      .map(({ zone, from, to }) => ({
        text: escaped(zone || "no zone"), x: (from + to) / 2, xref: "x", y: 1, yref: "paper", yanchor: "bottom",
        showarrow: false, font: { size: 11, color: colour },
      }));
  }

  netmesh.axes = { ticks, borders, zoneNames, escaped, safe };
})((window.netmesh = window.netmesh || {}));
