// What a pair was like over time, both directions: round trips and loss, gaps left open, netmesh's own tests marked.
(function (netmesh) {
  "use strict";

  const { units, api, theme, axes } = netmesh;
  const LINES = [["#0072b2", "solid"], ["#e69f00", "dash"]];

  /** The answer of the API, with the moment of each step in `times`. */
  async function load(source, target, seconds, signal) {
    const since = `${new Date(Date.now() - seconds * 1000).toISOString().slice(0, 19)}Z`;
    const way = `${encodeURIComponent(source)}/${encodeURIComponent(target)}`;
    const found = await api.json(`api/v1/pairs/${way}/history?${new URLSearchParams({ since })}`, { signal });
    const begin = Date.parse(found.started_at);
    return { ...found, times: found.sent.map((_, step) => new Date(begin + 1000 * step * found.step_seconds).toISOString().slice(0, 19)) };
  }

  /** What is to be known of a step beside its figure. */
  const beside = (history, step) => [history.own_traffic[step] && "netmesh's own tests ran", history.marked[step] && "the agent was held up"]
    .filter(Boolean).map((one) => `, ${one}`).join("");

  function layout(title, more) {
    const grid = theme.style("--rule");
    return {
      height: 240, margin: { l: 64, r: 14, t: 10, b: 40 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: theme.style("--font"), size: 12, color: theme.style("--ink") }, showlegend: true, hovermode: "x unified",
      hoverlabel: { bgcolor: theme.style("--panel"), font: { color: theme.style("--ink") } },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      xaxis: { type: "date", gridcolor: grid, zeroline: false, title: { text: "UTC" } },
      yaxis: { gridcolor: grid, zeroline: false, rangemode: "tozero", title: { text: axes.escaped(title) }, ...more },
    };
  }

  /** Draws two plots: `ways` are [{name, history}], `elements` {times, loss}. Answers with how many steps have a figure. */
  async function draw(elements, ways) {
    const known = ways.flatMap(({ history }) => history.p50_seconds.filter((one) => one !== null));
    const scale = units.scaleFor("network_round_trip_seconds", "s", known);
    const scaled = (numbers) => numbers.map((one) => (one === null ? null : one * scale.factor));
    const traces = ways.flatMap(({ name, history }, place) => {
      const [color, dash] = LINES[place % LINES.length];
      const line = (numbers, label, more) => ({
        type: "scatter", mode: "lines+markers", x: history.times, y: scaled(numbers), name: axes.safe(label), connectgaps: false,
        line: { color, dash, width: 2 }, marker: { size: 4, color }, hovertemplate: `%{y:.3~g} ${scale.unit}%{text}`,
        text: history.times.map((_, step) => beside(history, step)), ...more,
      });
      return [
        line(history.p50_seconds, `${name}, median`),
        line(history.max_seconds, `${name}, most`, { mode: "markers", marker: { symbol: "line-ew-open", size: 7, color }, visible: "legendonly" }),
      ];
    });
    const loss = ways.map(({ name, history }, place) => ({
      type: "scatter", mode: "lines+markers", x: history.times, connectgaps: false, name: axes.safe(name),
      y: history.sent.map((sent, step) => (sent ? (100 * history.lost[step]) / sent : null)),
      text: history.sent.map((sent, step) => `${history.lost[step]} of ${sent} probes`),
      line: { color: LINES[place % 2][0], dash: LINES[place % 2][1], width: 2 }, marker: { size: 4 }, hovertemplate: "%{y:.3~g} %, %{text}",
    }));
    const how = { displayModeBar: false, responsive: true };
    await Plotly.react(elements.times, traces, layout(`round trip, ${scale.unit}`, {}), how);
    await Plotly.react(elements.loss, loss, layout("loss, %", { range: [0, Math.max(1, ...loss.flatMap(({ y }) => y.filter((one) => one !== null)))] }), how);
    return known.length;
  }

  netmesh.history = { load, draw };
})((window.netmesh = window.netmesh || {}));
