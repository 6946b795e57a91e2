// A small matrix as a table that a screen reader walks through; gaps are said by their reason.
(function (netmesh) {
  "use strict";

  /** The most nodes of which a table is still read. */
  const MOST = 30;

  function cell(kind, text, scope) {
    const made = document.createElement(kind);
    made.textContent = text;
    if (scope) made.scope = scope;
    return made;
  }

  /** Fills `element` with the table, or with a sentence where the matrix is too large. `caption` names it. */
  netmesh.table = function table(element, matrix, caption) {
    if (Math.max(matrix.sources.length, matrix.targets.length) > MOST) {
      element.replaceChildren(cell("p", `A table of more than ${MOST} nodes is not read by anybody; --output FILE.csv writes all of it.`));
      return;
    }
    const made = document.createElement("table");
    made.append(cell("caption", caption));
    const head = made.createTHead().insertRow();
    head.append(cell("th", "from \\ to", "col"), ...matrix.targets.map((name) => cell("th", name, "col")));
    const body = made.createTBody();
    matrix.sources.forEach((source, row) => {
      const line = body.insertRow();
      line.append(cell("th", source, "row"));
      matrix.targets.forEach((_, column) => {
        const at = row * matrix.targets.length + column;
        const code = matrix.codes[matrix.reasons[at]];
        const made = cell("td", code || netmesh.units.text(matrix.numbers[at], matrix.scale));
        if (code) made.className = netmesh.palette.quiet(code) ? "gap quiet" : "gap";
        line.append(made);
      });
    });
    element.replaceChildren(made);
  };
})((window.netmesh = window.netmesh || {}));
