// One pair opened: every value of the test in both directions, statistic by statistic.
(function (netmesh) {
  "use strict";

  const { units } = netmesh;

  function cells(kind, texts) {
    const line = document.createElement("tr");
    texts.forEach((text, index) => {
      const made = document.createElement(index ? kind : "th");
      made.textContent = text;
      if (!index) made.scope = "row";
      line.append(made);
    });
    return line;
  }

  async function readings(value, name, places) {
    const { numbers, reasons, codes } = value.statistics[name];
    const [array, why] = await Promise.all([netmesh.arrays.load(numbers), netmesh.arrays.load(reasons)]);
    return places.map((at) => (at === null ? null : { number: array[at], code: codes[why[at]] }));
  }

  /** Fills the dialog `element` and opens it. */
  netmesh.pairDetail = async function pairDetail(element, { series, matrix, at, words }) {
    const [source, target] = netmesh.matrix.pair(matrix, at);
    const columns = matrix.targets.length;
    const square = matrix.targets === matrix.sources;
    const back = square && source !== target ? (at % columns) * columns + Math.floor(at / columns) : null;
    const places = [at, back];
    const table = document.createElement("table");
    const heads = [series.title, source === target ? "same node" : `${source} → ${target}`];
    if (back !== null) heads.push(`${target} → ${source}`);
    table.append(cells("th", heads));
    for (const value of series.values) {
      for (const name of Object.keys(value.statistics)) {
        const found = (await readings(value, name, places)).filter((one) => one);
        if (name !== "mean" && found.every(({ code }) => code)) continue;
        const scale = units.scaleFor(value.name, value.unit, found.filter(({ code }) => !code).map(({ number }) => number));
        const texts = found.map(({ number, code }) => code || units.full(number, scale));
        table.append(cells("td", [`${value.label}, ${words[name] || name}`, ...texts]));
      }
    }
    const note = series.messages[at];
    const said = document.createElement("p");
    said.textContent = note || "";
    element.querySelector("h3").textContent = source === target ? `${source}, same node` : `${source} and ${target}`;
    element.querySelector(".content").replaceChildren(...(note ? [said, table] : [table]));
    if (!element.open) element.showModal();
  };
})((window.netmesh = window.netmesh || {}));
