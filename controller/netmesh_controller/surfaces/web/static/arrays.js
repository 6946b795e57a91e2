// Arrays that travel as base64 of deflated little-endian bytes, in data blocks of the page.
(function (netmesh) {
  "use strict";

  const KINDS = { f4: Float32Array, f8: Float64Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };

  function bytesOf(base64) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const binary = atob(base64);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  }

  /** The bytes with each number's own together again: they travel as planes, all first bytes, then all second ones. */
  function joined(planes, size) {
    const count = planes.length / size;
    const bytes = new Uint8Array(planes.length);
    for (let plane = 0; plane < size; plane++) {
      const from = plane * count;
      for (let i = 0, at = plane; i < count; i++, at += size) bytes[at] = planes[from + i];
    }
    return bytes;
  }

  async function inflated(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  const kept = new Map();

  /** The typed array of {id, kind}: a promise, kept for the next call. */
  function load(reference) {
    if (!kept.has(reference.id)) kept.set(reference.id, read(reference));
    return kept.get(reference.id);
  }

  async function read({ id, kind }) {
    const planes = await inflated(bytesOf(document.getElementById(id).textContent));
    const size = KINDS[kind].BYTES_PER_ELEMENT;
    const bytes = size === 1 ? planes : joined(planes, size);
    return new KINDS[kind](bytes.buffer);
  }

  netmesh.arrays = { load };
})((window.netmesh = window.netmesh || {}));
