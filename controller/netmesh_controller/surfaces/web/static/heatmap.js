// A matrix as a heatmap in an element: hover and arrow keys tell a pair, a click or Enter opens it, dragging zooms.
(function (netmesh) {
  "use strict";

  const { palette, axes, units, theme } = netmesh;
  const TEXT_PIXELS = 40;
  // A letter of a name beside an axis, with the room between two names.
  const NAME_PIXELS = 6.8;
  const CONFIG = {
    displaylogo: false,
    responsive: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    toImageButtonOptions: { format: "png", scale: 2, filename: "netmesh" },
  };

  /** Draws into `element`. `matrix` as matrix.js has it, and beside that:
   * zones {sources, targets}, scale (units.js), range [low, high], label, title, explain(at) → lines of text,
   * open(at) or null. Returns a promise. Calling it again draws anew. */
  function heatmap(element, matrix) {
    element.netmeshMatrix = matrix;
    prepare(element);
    const size = measure(element, matrix);
    const { traces, layout } = figure(matrix, size);
    return Plotly.react(element, traces, layout, CONFIG).then(() => {
      const image = element.querySelector(".main-svg");
      if (image) image.setAttribute("aria-hidden", "true");
    });
  }

  function measure(element, { sources, targets }) {
    const longest = Math.min(28, Math.max(...netmesh.matrix.shortNames(sources).map((name) => name.length), 3));
    const below = Math.min(28, Math.max(...netmesh.matrix.shortNames(targets).map((name) => name.length), 3));
    const narrow = element.clientWidth < 560;
    const margin = { l: 22 + longest * 6.6, r: narrow ? 8 : 92, t: 44 };
    const room = Math.max(140, element.clientWidth - margin.l - margin.r);
    const most = Math.max(280, Math.min(820, window.innerHeight - 170));
    const each = Math.min(room / targets.length, most / sources.length, 64);
    const inner = { width: Math.min(room, Math.max(each * targets.length, 130)), height: Math.max(each * sources.length, 40) };
    // Names that have no room side by side stand upright.
    const upright = targets.length > 6 || below * NAME_PIXELS > inner.width / targets.length;
    const names = upright ? Math.max(14, below * 5.6) : 14;
    margin.b = (narrow ? 96 : 30) + names;
    return { margin, names, upright, inner, narrow, width: element.clientWidth, height: inner.height + margin.t + margin.b };
  }

  function rowsOf(array, rows, columns) {
    return Array.from({ length: rows }, (_, row) => array.subarray(row * columns, (row + 1) * columns));
  }

  function figure(matrix, size) {
    const [rows, columns] = [matrix.sources.length, matrix.targets.length];
    const [low, high] = matrix.range;
    const { factor } = matrix.scale;
    const quiet = matrix.codes.map((code) => palette.quiet(code));
    // The hatch lies behind all; the first trace covers it where nobody expected a number.
    const [shown, covered] = [new Float32Array(rows * columns), new Float32Array(rows * columns).fill(NaN)];
    let covers = false;
    for (let at = 0; at < shown.length; at++) {
      shown[at] = matrix.numbers[at] * factor;
      const code = matrix.reasons[at];
      if (code && quiet[code]) {
        covered[at] = 1;
        covers = true;
      }
    }
    const ink = theme.style("--ink");
    const muted = theme.style("--muted");
    const texts = texted(matrix, size);
    const bar = size.narrow
      ? { orientation: "h", y: 0, yref: "paper", yanchor: "top", ypad: size.names + 38, thickness: 12 }
      : { thickness: 14, x: size.inner.width / (size.width - size.margin.l - size.margin.r), xpad: 12 };
    const traces = [
      { type: "heatmap", visible: covers, z: covers ? rowsOf(covered, rows, columns) : [[NaN]], zmin: 0, zmax: 1, showscale: false, hoverinfo: "skip",
        colorscale: [[0, theme.style("--quiet-gap")], [1, theme.style("--quiet-gap")]] },
      { type: "heatmap", z: rowsOf(shown, rows, columns), zmin: low * factor, zmax: high * factor,
        colorscale: palette.colours(matrix.more), hoverinfo: "none", hoverongaps: true,
        colorbar: { title: { text: axes.escaped(matrix.scale.unit || matrix.label), side: size.narrow ? "top" : "right" },
          outlinewidth: 0, tickfont: { color: muted }, len: 1, ...bar } },
    ];
    const names = { x: netmesh.matrix.shortNames(matrix.targets), y: netmesh.matrix.shortNames(matrix.sources) };
    const share = size.inner.width / (size.width - size.margin.l - size.margin.r);
    const axis = { showgrid: false, zeroline: false, ticks: "", tickfont: { color: ink, size: 11 }, color: muted };
    const layout = {
      width: size.width, height: size.height, margin: size.margin, dragmode: "zoom", hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: theme.style("--quiet-gap"),
      font: { family: theme.style("--font"), size: 12, color: ink },
      modebar: { color: muted, activecolor: ink, bgcolor: "rgba(0,0,0,0)" },
      xaxis: { ...axis, domain: [0, Math.min(1, share)], range: [-0.5, columns - 0.5], constrain: "domain",
        ...axes.ticks(names.x, 0, columns - 1, size.inner.width), tickangle: size.upright ? -90 : 0,
        title: { text: "to", standoff: 6 } },
      yaxis: { ...axis, range: [rows - 0.5, -0.5], ...axes.ticks(names.y, 0, rows - 1, size.inner.height),
        title: { text: "from", standoff: 6 } },
      shapes: axes.borders(matrix.zones.sources, matrix.zones.targets, { rows, columns }, ink),
      annotations: [...axes.zoneNames(matrix.zones.targets, size.inner.width, ink), ...texts],
      images: [{ source: palette.hatch(theme.style("--gap-line"), theme.style("--gap-ground")), xref: "x domain",
        yref: "y domain", x: 0, y: 1, sizex: 1, sizey: 1, sizing: "stretch", layer: "below" }],
    };
    return { traces, layout };
  }

  /** The figures inside the cells, where they have room: local ones in brackets, gaps by their code. */
  function texted(matrix, size) {
    const columns = matrix.targets.length;
    const each = size.inner.width / columns;
    if (each < TEXT_PIXELS || matrix.numbers.length > 400) return [];
    const [low, high] = matrix.range;
    return Array.from(matrix.numbers, (number, at) => {
      const [source, target] = netmesh.matrix.pair(matrix, at);
      const code = matrix.codes[matrix.reasons[at]];
      const share = Math.min(1, Math.max(0, (number - low) / (high - low)));
      const said = code ? (palette.quiet(code) ? "–" : gapText(code, each)) : axes.escaped(units.text(number, matrix.scale));
      return {
        text: source === target && !code ? `[${said}]` : said,
        x: at % columns, y: Math.floor(at / columns), xref: "x", yref: "y", showarrow: false,
        font: { size: each < 50 ? 10 : 12, color: code ? theme.style("--ink") : palette.inkOn(share, matrix.more) },
        ...(code && !palette.quiet(code) ? { bgcolor: theme.style("--gap-ground"), borderpad: 1 } : {}),
      };
    }).filter(({ text }) => text);
  }

  /** A gap's code as plotly's text, a line a word; nothing where that has no room: the hatch shows the gap. */
  function gapText(code, pixels) {
    const lines = code.split(/(?<=_)/);
    return Math.max(...lines.map((line) => line.length)) * (pixels < 50 ? 5.6 : 6.6) <= pixels ? lines.map(axes.safe).join("<br>") : "";
  }

  function prepare(element) {
    if (element.netmeshPrepared) return;
    element.netmeshPrepared = true;
    element.tabIndex = 0;
    element.setAttribute("role", "application");
    element.setAttribute("aria-roledescription", "heatmap; arrow keys move, Enter opens a pair");
    const tip = netmesh.tip(element);
    let cursor = 0;
    const said = (at, x, y, aloud) => tip.show(element.netmeshMatrix.explain(at), x, y, aloud);
    // Plotly takes its handlers once it has drawn.
    Promise.resolve().then(() => {
      element.on("plotly_hover", ({ points, event }) => {
        const [row, column] = points[0].pointIndex || points[0].pointNumber;
        cursor = row * element.netmeshMatrix.targets.length + column;
        said(cursor, event.clientX, event.clientY);
      });
      element.on("plotly_unhover", tip.hide);
      element.on("plotly_click", () => element.netmeshMatrix.open && element.netmeshMatrix.open(cursor));
      element.on("plotly_relayout", (change) => relabelled(element, change));
    });
    element.addEventListener("blur", tip.hide);
    element.addEventListener("keydown", (event) => {
      const matrix = element.netmeshMatrix;
      const columns = matrix.targets.length;
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
      if (event.key === "Enter" && matrix.open) matrix.open(cursor);
      if (event.key === "Escape") tip.hide();
      if (!(event.key in steps)) return;
      event.preventDefault();
      const next = cursor + steps[event.key];
      if (next >= 0 && next < matrix.numbers.length) cursor = next;
      const { _offset: left, ...x } = element._fullLayout.xaxis;
      const y = element._fullLayout.yaxis;
      const box = element.getBoundingClientRect();
      said(cursor, box.left + left + x.d2p(cursor % columns), box.top + y._offset + y.d2p(Math.floor(cursor / columns)), true);
    });
  }

  /** After zooming, as many names as now have room. */
  function relabelled(element, change) {
    if (!Object.keys(change).some((key) => key.includes("axis") && (key.includes("range")))) return;
    const matrix = element.netmeshMatrix;
    const { xaxis, yaxis } = element._fullLayout;
    const x = axes.ticks(netmesh.matrix.shortNames(matrix.targets), Math.min(...xaxis.range), Math.max(...xaxis.range), xaxis._length);
    const y = axes.ticks(netmesh.matrix.shortNames(matrix.sources), Math.min(...yaxis.range), Math.max(...yaxis.range), yaxis._length);
    Plotly.relayout(element, {
      "xaxis.tickvals": x.tickvals, "xaxis.ticktext": x.ticktext, "yaxis.tickvals": y.tickvals, "yaxis.ticktext": y.ticktext,
    });
  }

  netmesh.heatmap = heatmap;
})((window.netmesh = window.netmesh || {}));
