// Distributions: how the pairs of a matrix lie, and how the single observations behind it do.
(function (netmesh) {
  "use strict";

  const { theme, axes, units } = netmesh;
  const BINS = 60;

  /** Blue and orange first: everybody tells them apart; dashes tell the rest apart too. */
  const LINES = [
    ["#0072b2", "solid"], ["#e69f00", "dash"], ["#009e73", "dot"], ["#cc79a7", "dashdot"], ["#56b4e9", "dot"], ["#d55e00", "dot"],
  ];

  function layout(xTitle, yTitle, more) {
    const ink = theme.style("--ink");
    const grid = theme.style("--rule");
    return {
      height: 260, margin: { l: 62, r: 16, t: 12, b: 46 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: theme.style("--font"), size: 12, color: ink }, bargap: 0.02, showlegend: true,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, hovermode: "closest",
      xaxis: { title: { text: axes.escaped(xTitle) }, gridcolor: grid, zeroline: false },
      yaxis: { title: { text: yTitle }, gridcolor: grid, rangemode: "tozero", zeroline: false },
      ...more,
    };
  }

  /** How many pairs have a figure of each size; `sorted` is ascending, in SI. */
  function pairs(element, sorted, scale, label) {
    if (!sorted.length) return Plotly.purge(element);
    const low = sorted[0] * scale.factor;
    const high = sorted[sorted.length - 1] * scale.factor;
    const bins = Math.max(1, Math.min(BINS, Math.ceil(Math.sqrt(sorted.length) * 2)));
    const width = (high - low) / bins || Math.max(Math.abs(low) * 0.01, 1e-12);
    const counts = new Array(bins).fill(0);
    for (const number of sorted) counts[Math.min(bins - 1, Math.floor((number * scale.factor - low) / width))]++;
    const trace = {
      type: "bar", x: counts.map((_, bin) => low + (bin + 0.5) * width), y: counts, width: counts.map(() => width),
      marker: { color: LINES[0][0] }, showlegend: false,
      hovertext: counts.map((count, bin) =>
        `${units.digits(low + bin * width)} to ${units.digits(low + (bin + 1) * width)} ${axes.escaped(scale.unit)}: ${count}`),
      hoverinfo: "text",
    };
    const unit = scale.unit ? `${label}, ${scale.unit}` : label;
    return Plotly.react(element, [trace], layout(unit, "pairs", {}), { displayModeBar: false, responsive: true });
  }

  /** Which share of the observations took longer: one line a series. `curves`: [{name, values, above, count}], SI. */
  function observations(element, curves, scale, label) {
    const traces = curves.map(({ name, values, above, count }, index) => {
      const [color, dash] = LINES[index % LINES.length];
      return {
        type: "scatter", mode: "lines", name: axes.safe(name), x: values.map((value) => value * scale.factor), y: above,
        line: { color, dash, width: 2, shape: "hv" },
        hovertemplate: `${axes.safe(name)}<br>%{y:.3%} of ${count} above %{x:.3~g} ${axes.escaped(scale.unit)}<extra></extra>`,
      };
    });
    const more = {
      height: 320,
      xaxis: { title: { text: axes.escaped(`${label}, ${scale.unit}`) }, type: "log", gridcolor: theme.style("--rule"),
        exponentformat: "none", nticks: 8 },
      yaxis: { title: { text: "share above" }, type: "log", gridcolor: theme.style("--rule"), tickformat: ".4~%" },
    };
    return Plotly.react(element, traces, layout(label, "", more), { displayModeBar: false, responsive: true });
  }

  netmesh.distribution = { pairs, observations };
})((window.netmesh = window.netmesh || {}));
