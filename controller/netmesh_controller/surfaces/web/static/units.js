// Figures for people: three significant digits, in the unit in which the middle one is at least 1.
// The same rules as surfaces/terminal/units.py; a test holds the two against each other.
(function (netmesh) {
  "use strict";

  const STEPS = {
    "bit/s": [[1, "bit/s"], [1e3, "kbit/s"], [1e6, "Mbit/s"], [1e9, "Gbit/s"], [1e12, "Tbit/s"]],
    s: [[1e-6, "µs"], [1e-3, "ms"], [1, "s"]],
    B: [[1, "B"], [1e3, "kB"], [1e6, "MB"], [1e9, "GB"], [1e12, "TB"], [1e15, "PB"]],
    "1/s": [[1, "/s"], [1e3, "k/s"], [1e6, "M/s"], [1e9, "G/s"]],
  };

  /** The number with three significant digits, without an exponent where that stays legible. */
  function digits(number) {
    if (number === 0) return "0";
    const rounded = Number(number.toPrecision(3));
    const magnitude = Math.floor(Math.log10(Math.abs(rounded)));
    if (magnitude < -4) return number.toExponential(2).replace(/e([+-])(\d)$/, "e$10$2");
    return rounded.toFixed(Math.max(0, 2 - magnitude));
  }

  /** {factor, unit}: `factor` times a number in SI is the number in `unit`. `value` and `unit` are the catalogue's. */
  function scaleFor(value, unit, numbers) {
    if (value.endsWith("_ratio")) return { factor: 100, unit: "%" };
    if (value === "mtu_bytes") return { factor: 1, unit };
    const middle = middleSize(numbers);
    if (unit === "s/GB") {
      const [step, label] = stepFor(middle, "s");
      return { factor: 1 / step, unit: `CPU ${label}/GB` };
    }
    const [step, label] = stepFor(middle, unit);
    return { factor: 1 / step, unit: label };
  }

  /** The median of the numbers' sizes, zeros aside; 0 of none. A million of them, ascending, take a few milliseconds. */
  function middleSize(numbers) {
    const sizes = new Float64Array(numbers.length);
    let count = 0;
    let ascending = true;
    for (let i = 0; i < numbers.length; i++) {
      const size = Math.abs(numbers[i]);
      if (!(size > 0 && size < Infinity)) continue;
      if (count && size < sizes[count - 1]) ascending = false;
      sizes[count++] = size;
    }
    const kept = ascending ? sizes.subarray(0, count) : sizes.subarray(0, count).sort();
    return count ? (kept[(count - 1) >> 1] + kept[count >> 1]) / 2 : 0;
  }

  function stepFor(middle, unit) {
    const steps = STEPS[unit];
    if (!steps) return [1, unit === "1" ? "" : unit];
    if (!middle) return steps.find((step) => step[0] === 1);
    let chosen = steps[0];
    // 999.9 k is shown as 1.00 M: what counts is the value after rounding to three digits.
    for (const step of steps) if (middle >= step[0] * 0.9995) chosen = step;
    return chosen;
  }

  /** A number in a scale, without the unit. */
  function text(number, scale) {
    if ((scale.unit === "" || scale.unit === "B") && Number.isInteger(number) && Math.abs(number) < 1e6) return String(number);
    return digits(number * scale.factor);
  }

  /** A number in a scale, with its unit. */
  function full(number, scale) {
    return `${text(number, scale)} ${scale.unit}`.trimEnd();
  }

  netmesh.units = { digits, scaleFor, text, full };
})((window.netmesh = window.netmesh || {}));
