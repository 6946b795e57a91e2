// What a matrix says: its ends and its middle, its worst pairs, the range of its colours. No drawing here.
//
// A matrix is {value, unit, more, sources, targets, numbers, reasons, codes}: `numbers` row by row, NaN for a gap;
// `reasons` 0 for a number, else the place in `codes`. `more` says whether more is better.
(function (netmesh) {
  "use strict";

  /** The places of all pairs of two nodes that have a number, and of those within a node. */
  function places(matrix) {
    const columns = matrix.targets.length;
    const column = new Map(matrix.targets.map((name, index) => [name, index]));
    const own = matrix.sources.map((name) => (column.has(name) ? column.get(name) : -1));
    const [remote, local] = [new Uint32Array(matrix.numbers.length), new Uint32Array(own.length)];
    let [remotes, locals] = [0, 0];
    for (let row = 0, at = 0; row < own.length; row++) {
      for (let place = 0; place < columns; place++, at++) {
        if (matrix.reasons[at]) continue;
        if (own[row] === place) local[locals++] = at;
        else remote[remotes++] = at;
      }
    }
    return { remote: remote.subarray(0, remotes), local: local.subarray(0, locals) };
  }

  /** The quantile of ascending numbers, linear between neighbours; undefined of none. */
  function quantile(ordered, fraction) {
    if (!ordered.length) return undefined;
    const position = (ordered.length - 1) * fraction;
    const below = Math.floor(position);
    const high = ordered[Math.min(below + 1, ordered.length - 1)];
    return ordered[below] + (high - ordered[below]) * (position - below);
  }

  function ascending(matrix, where) {
    const numbers = new Float64Array(where.length);
    for (let i = 0; i < where.length; i++) numbers[i] = matrix.numbers[where[i]];
    return numbers.sort();
  }

  /** {remote, local, sorted, low, middle, high}: `sorted` are the numbers between nodes, or all where there are none. */
  function summary(matrix) {
    const found = places(matrix);
    const peers = found.remote.length ? found.remote : found.local;
    const sorted = ascending(matrix, peers);
    const at = (wanted) => peers[peers.findIndex((place) => matrix.numbers[place] === wanted)];
    return {
      ...found,
      peers,
      sorted,
      middle: quantile(sorted, 0.5),
      low: sorted.length ? at(sorted[0]) : undefined,
      high: sorted.length ? at(sorted[sorted.length - 1]) : undefined,
    };
  }

  /** The names of a place. */
  function pair(matrix, at) {
    const columns = matrix.targets.length;
    return [matrix.sources[Math.floor(at / columns)], matrix.targets[at % columns]];
  }

  /** The worst places between nodes, worst first. */
  function worst(matrix, found, count) {
    const sign = matrix.more ? 1 : -1;
    const cut = matrix.more
      ? found.sorted[Math.min(count, found.sorted.length) - 1]
      : found.sorted[Math.max(found.sorted.length - count, 0)];
    const there = [];
    for (const at of found.peers) if (sign * matrix.numbers[at] <= sign * cut) there.push(at);
    return there.sort((a, b) => sign * (matrix.numbers[a] - matrix.numbers[b])).slice(0, count);
  }

  /** The range of the colours. `robust`: the middle 96 %, never narrower than a tenth about the median, so that noise
   * stays pale. `fixed`: from 0 to `largest`, the same for all paths of a test. */
  function range(matrix, found, kind, largest) {
    if (!found.sorted.length) return [0, 1];
    if (kind === "fixed") return [0, largest > 0 ? largest : 1];
    const middle = found.middle;
    const half = Math.abs(middle) * 0.1;
    const low = Math.min(quantile(found.sorted, 0.02), middle - half);
    const high = Math.max(quantile(found.sorted, 0.98), middle + half);
    return low === high ? [low, low + 1] : [low, high];
  }

  /** How often each reason stands in the matrix, the most frequent first: [[code, count], …]. */
  function gaps(matrix) {
    const counts = new Uint32Array(matrix.codes.length);
    for (const code of matrix.reasons) counts[code]++;
    return Array.from(counts, (count, code) => [matrix.codes[code], count])
      .filter(([code, count]) => code && count)
      .sort((a, b) => b[1] - a[1]);
  }

  /** Names as labels of axes: where they are many or long, without the beginning that all share, cut at - . or _. */
  function shortNames(names) {
    const longest = Math.max(0, ...names.map((name) => name.length));
    if (names.length < 2 || (names.length <= 40 && longest <= 12)) return names;
    let size = 0;
    while (size < names[0].length && names.every((name) => name[size] === names[0][size])) size++;
    const prefix = names[0].slice(0, size).replace(/[^-._]+$/, "");
    const cut = names.map((name) => name.slice(prefix.length));
    return cut.every((name) => name) ? cut : names;
  }

  netmesh.matrix = { summary, pair, worst, range, gaps, quantile, shortNames };
})((window.netmesh = window.netmesh || {}));
