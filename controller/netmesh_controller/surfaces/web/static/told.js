// A matrix in a few lines beside its picture: ends and middle, worst pairs, gaps with their reasons.
(function (netmesh) {
  "use strict";

  const { units } = netmesh;
  const WORST = 10;

  function named(matrix, at) {
    const [source, target] = netmesh.matrix.pair(matrix, at);
    return source === target ? `${source} (same node)` : `${source} → ${target}`;
  }

  /** A pair's name, which leads to its page where there is one. */
  function linked(matrix, at) {
    if (!matrix.link) return named(matrix, at);
    const made = document.createElement("a");
    made.href = matrix.link(netmesh.matrix.pair(matrix, at));
    made.textContent = named(matrix, at);
    return made;
  }

  function row(cells, kind) {
    const line = document.createElement("tr");
    for (const what of cells) {
      const made = document.createElement(kind || "td");
      made.append(what);
      line.append(made);
    }
    return line;
  }

  /** Fills the elements {spread, worst, gaps}. `codes` has a sentence for each reason. */
  netmesh.told = function told(elements, matrix, found, codes, value) {
    const parts = [];
    if (found.sorted.length) {
      const kind = found.remote.length ? "between nodes" : "same node";
      parts.push(`${kind}: least ${units.text(matrix.numbers[found.low], matrix.scale)} (${named(matrix, found.low)})`);
      parts.push(`median ${units.full(found.middle, matrix.scale)}`);
      parts.push(`most ${units.text(matrix.numbers[found.high], matrix.scale)} (${named(matrix, found.high)})`);
    } else {
      parts.push("no number: every pair is a gap");
    }
    elements.spread.textContent = parts.join(" · ");
    worst(elements.worst, matrix, found, value);
    gaps(elements.gaps, matrix, codes);
  };

  // A report has no links in it, and is not drawn again.
  const put = (element, ...children) => (netmesh.dom ? netmesh.dom.renewed(element, ...children) : element.replaceChildren(...children));

  function worst(element, matrix, found, value) {
    const flat = !found.sorted.length || found.sorted[0] === found.sorted[found.sorted.length - 1];
    if (flat || found.peers.length < 3) {
      put(element);
      return;
    }
    const table = document.createElement("table");
    const caption = document.createElement("caption");
    // Of a few pairs most are no worst ones.
    const places = netmesh.matrix.worst(matrix, found, Math.min(WORST, Math.max(3, Math.floor(found.peers.length / 4))))
      .filter((at) => matrix.more || matrix.numbers[at] !== 0);
    caption.textContent = `Worst ${places.length} of ${found.peers.length} pairs`;
    table.append(caption, row(["pair", `${value.label}${matrix.scale.unit ? `, ${matrix.scale.unit}` : ""}`, ...(found.middle ? ["of the median"] : [])], "th"));
    for (const at of places) {
      const share = found.middle ? [(matrix.numbers[at] / found.middle).toFixed(2)] : [];
      table.append(row([linked(matrix, at), units.text(matrix.numbers[at], matrix.scale), ...share]));
    }
    put(element, table);
  }

  function gaps(element, matrix, codes) {
    const list = document.createElement("ul");
    for (const [code, count] of netmesh.matrix.gaps(matrix)) {
      const item = document.createElement("li");
      const name = document.createElement("code");
      name.textContent = code;
      item.append(name, ` ${count} ${count === 1 ? "pair" : "pairs"}${codes[code] ? `: ${codes[code]}` : ""}`);
      if (netmesh.palette.quiet(code)) item.className = "quiet";
      list.append(item);
    }
    element.replaceChildren(...(list.children.length ? [list] : []));
  }
})((window.netmesh = window.netmesh || {}));
