// Colours of numbers and gaps. Cividis: even steps of lightness, the same for people of every colour vision, legible in
// grey. Dark is always the worse end: for a latency the scale runs the other way than for a bandwidth.
(function (netmesh) {
  "use strict";

  const CIVIDIS = [
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
  ];

  /** Stops for plotly, from the lowest number to the highest. */
  function colours(more) {
    const ordered = more ? CIVIDIS : [...CIVIDIS].reverse();
    return ordered.map((colour, index) => [index / (ordered.length - 1), colour]);
  }

  /** Black or white, whichever is read better on the colour at `share` (0 to 1) of the scale: a contrast of 4.5 at least. */
  function inkOn(share, more) {
    const place = more ? share : 1 - share;
    return place < 0.465 ? "#ffffff" : "#000000";
  }

  /** A picture of diagonal lines, to be stretched over the whole plot: what shows through is a gap. */
  function hatch(line, ground) {
    const pattern =
      `<svg xmlns="http://www.w3.org/2000/svg" width="900" height="900" preserveAspectRatio="none" viewBox="0 0 900 900">` +
      `<defs><pattern id="p" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
      `<rect width="7" height="7" fill="${ground}"/><rect width="2" height="7" fill="${line}"/></pattern></defs>` +
      `<rect width="900" height="900" fill="url(#p)"/></svg>`;
    return `data:image/svg+xml,${encodeURIComponent(pattern)}`;
  }

  // Gaps by design: nobody expected a number there.
  const QUIET = new Set(["not_scheduled", "not_applicable", "not_supported", "not_yet"]);

  netmesh.palette = { colours, inkOn, hatch, quiet: (code) => QUIET.has(code) };
})((window.netmesh = window.netmesh || {}));
