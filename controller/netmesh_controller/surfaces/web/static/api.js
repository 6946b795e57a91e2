// The controller's HTTP API: asked with the token, read as JSON, as packed matrices, and as events.
(function (netmesh) {
  "use strict";

  const PACKED = "application/vnd.netmesh.matrix";
  const KEY = "netmesh-token";
  const STARTING_MILLISECONDS = 60000;

  /** The token is missing or wrong. */
  class Refused extends Error {}

  /** Nobody answers. */
  class Away extends Error {}

  /** What the controller says is in the way; `code` is stable. */
  class Problem extends Error {
    constructor(status, problem) {
      super(problem.detail || `the controller answered ${status}`);
      Object.assign(this, { status, code: problem.code, field: problem.field, run: problem.run });
    }
  }

  const FOR_GOOD = ["not_monitoring", "no_background"];

  /** Whether it may be otherwise in a moment: nobody answers, nobody leads, or the store is away. */
  const passes = (error) => error instanceof Away ||
    (error instanceof Problem && [502, 503, 504].includes(error.status) && !FOR_GOOD.includes(error.code));

  async function ask(path, { accept = "application/json", method = "GET", body, signal, headers = {} } = {}) {
    const token = sessionStorage.getItem(KEY);
    let response;
    try {
      response = await fetch(path, {
        method, signal, body: body === undefined ? undefined : JSON.stringify(body),
        headers: { Accept: accept, ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...(token ? { "X-Netmesh-Token": token } : {}), ...headers },
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Away("The controller does not answer. Is it running, and is its port forwarded?");
    }
    if (response.status === 401) throw new Refused();
    if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
    return response;
  }

  const json = async (path, how) => (await ask(path, how)).json();
  const send = async (method, path, body) => {
    const response = await ask(path, { method, body });
    return response.status === 202 || response.status === 204 ? null : response.json();
  };

  /** The matrix of mesh/packed.py, as matrix.js wants it; `word` says what its value is called. */
  function unpacked(buffer, word) {
    const length = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const size = head.sources.length * head.targets.length;
    const numbers = new Float64Array(buffer, 4 + length, size);
    const reasons = new Uint8Array(buffer, 4 + length + 8 * size, size);
    return { ...head, numbers, reasons, ...word(head.value) };
  }

  const matrix = async (path, word) => unpacked(await (await ask(path, { accept: PACKED })).arrayBuffer(), word);

  /** Server-sent events by fetch, since EventSource sends no header. Goes on after a lost connection, until an event
   * `finished` or until `signal` is aborted. `told(kind, data)`; of a connection that is lost `told("lost", {})`. */
  async function events(path, told, signal) {
    let last = null;
    let lost = null;
    while (!signal.aborted) {
      try {
        const response = await ask(path, { accept: "text/event-stream", signal, headers: last ? { "Last-Event-ID": last } : {} });
        lost = null;
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          const blocks = (rest + value).split("\n\n");
          rest = blocks.pop();
          for (const block of blocks) {
            const fields = Object.fromEntries(block.split("\n").filter((line) => /^(id|event|data): /.test(line))
              .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
            if (fields.id) last = fields.id;
            if (fields.data) told(fields.event, JSON.parse(fields.data));
            if (fields.event === "finished") return;
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        // A controller that was started again takes up what ran, and does not know of it at once.
        const starting = last !== null && ["no_sweep", "no_diagnosis"].includes(error.code) && Date.now() - (lost ??= Date.now()) < STARTING_MILLISECONDS;
        if ((error instanceof Refused || error instanceof Problem) && !passes(error) && !starting) throw error;
      }
      told("lost", {});
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  const keep = (token) => sessionStorage.setItem(KEY, token);

  netmesh.api = { ask, json, send, matrix, events, keep, passes, Refused, Problem };
})((window.netmesh = window.netmesh || {}));
