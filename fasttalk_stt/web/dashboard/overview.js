// The tiles, the engine with its breakers, and what was counted since the start.

import { byId, element, reconcile, setFacts, setNotice, setText } from "./dom.js";
import { audio, bytes, count, duration, factor, milliseconds, NONE, percent, plural, withMs, words } from "./format.js";

const READINESS = {
  ready: ["Ready", "good"],
  starting: ["Starting", "warn"],
  unavailable: ["Not ready", "bad"],
  draining: ["Draining", "warn"],
  failed: ["Failed", "bad"],
};

const BREAKERS = {
  closed: ["closed", "good"],
  half_open: ["half-open: one request is tried", "warn"],
  open: ["open", "bad"],
};

export function showOverview(data) {
  showBar(data);
  showConnections(data);
  showSpeed(data);
  showQueue(data.engine);
  showMemory(data);
  showEngine(data.engine);
  showBreakers(data.breakers);
  showTotals(data);
  showCounts(data.totals);
}

function showBar({ version, readiness, reasons, uptime_s }) {
  setText(byId("version"), version);
  setText(byId("uptime"), duration(uptime_s));
  const [name, tone] = READINESS[readiness] ?? [words(readiness), "warn"];
  setText(byId("readiness"), name);
  byId("readiness").dataset.tone = tone;
  document.title = `${name}: Fasttalk STT`;
  byId("reasons").dataset.tone = tone === "bad" ? "bad" : "warn";
  setNotice(byId("reasons"), reasons.length > 0 ? `No new connection is taken: ${reasons.join("; ")}.` : null);
}

/** The server does not answer: whatever it was, it is not known to be that now. */
export function showUnknown() {
  setText(byId("readiness"), "Unknown");
  byId("readiness").dataset.tone = "idle";
  document.title = "No answer: Fasttalk STT";
  setNotice(byId("reasons"), null);
}

function showConnections({ connections, engine }) {
  setText(byId("connections"), count(connections.active));
  setText(byId("connections-max"), ` of ${count(connections.max)}`);
  fill(byId("connections-meter"), connections.active / connections.max);
  const states = Object.entries(connections.by_state).filter(([, amount]) => amount > 0);
  const texts = states.map(([state, amount]) => `${count(amount)} ${words(state)}`);
  setText(byId("connections-note"), texts.join(" · ") || "nobody is connected");
  setText(byId("headroom"), count(connections.headroom_streams));
  setText(byId("headroom-note"), `pressure ${pressureText(engine.pressure)}`);
  fill(byId("pressure-meter"), typeof engine.pressure === "number" ? engine.pressure : 0);
}

const pressureText = (pressure) => (typeof pressure === "number" ? percent(pressure) : words(pressure ?? NONE));

function fill(meter, share) {
  const kept = Math.min(1, Math.max(0, share || 0));
  meter.style.inlineSize = `${kept * 100}%`;
  meter.dataset.tone = kept >= 0.95 ? "bad" : kept >= 0.8 ? "warn" : "good";
}

function showSpeed({ history, now }) {
  const latest = (key) => {
    const values = history.series[key] ?? [];
    const index = values.findLastIndex((value) => value !== null);
    return { value: values[index], ago_s: Date.parse(now) / 1000 - history.times[index] };
  };
  const p50 = latest("latency_p50_ms");
  const isKnown = p50.value !== undefined;
  setText(byId("latency"), milliseconds(p50.value));
  setText(
    byId("latency-note"),
    isKnown ? `p95 ${withMs(latest("latency_p95_ms").value)} · ${ago(p50)}` : "no text yet",
  );
  const rtf = latest("real_time_factor");
  setText(byId("rtf"), factor(rtf.value));
  setText(byId("rtf-note"), rtf.value === undefined ? "no text yet" : `computing per audio · ${ago(rtf)}`);
}

const ago = ({ ago_s }) => (ago_s < 15 ? "just now" : `${duration(ago_s)} ago`);

function showQueue({ queue, running, seats }) {
  const waiting = Object.values(queue).reduce((sum, amount) => sum + amount, 0);
  setText(byId("queue"), count(waiting));
  const kinds = Object.entries(queue).filter(([, amount]) => amount > 0);
  const parts = kinds.map(([kind, amount]) => `${count(amount)} ${kind}`);
  setText(byId("queue-note"), [`${count(running)} of ${plural(seats, "seat")} busy`, ...parts].join(" · "));
}

function showMemory({ memory, engine }) {
  setText(byId("memory"), bytes(memory.process_bytes));
  const gpu = `GPU ${bytes(memory.gpu_used_bytes)} of ${bytes(memory.gpu_total_bytes)}`;
  setText(byId("memory-note"), memory.gpu_total_bytes === null ? `host · no GPU (${engine.device})` : `host · ${gpu}`);
}

function showEngine(engine) {
  const isFallback = engine.preferred_model !== engine.model;
  setFacts(byId("engine"), [
    ["Model", engine.model],
    ["Preferred", isFallback ? `${engine.preferred_model}: fallen back` : "the same"],
    ["Device", engine.device],
    ["Compute type", engine.compute_type ?? NONE],
    ["Pressure", pressureText(engine.pressure)],
  ]);
}

function showBreakers(breakers) {
  reconcile(byId("breakers"), breakers, {
    keyOf: ({ name }) => name,
    make: () => element("li", {}, element("b"), element("span", { className: "badge" }), element("small")),
    update(row, { name, state, remaining_s, last_cause }) {
      const [label, badge, cause] = row.children;
      const [text, tone] = BREAKERS[state] ?? [words(state), "warn"];
      setText(label, name === "gpu" ? "GPU" : words(name));
      badge.dataset.tone = tone;
      setText(badge, state === "open" && remaining_s !== null ? `${text}, ${duration(Math.ceil(remaining_s))} left` : text);
      setText(cause, last_cause === null ? "" : `last cause: ${last_cause}`);
    },
  });
}

function showTotals({ totals, connections }) {
  setFacts(byId("totals"), [
    ["Connections", count(connections.total)],
    ["Sessions", count(totals.sessions)],
    ["Audio heard", audio(totals.audio_s)],
    ["Texts sent", count(totals.transcriptions)],
    ["Onsets told", count(totals.onsets)],
    ["Received", bytes(totals.received_bytes)],
    ["Sent", bytes(totals.sent_bytes)],
  ]);
}

function showCounts({ errors, refusals, rejections }) {
  const rows = [
    ["error", errors],
    ["refusal", refusals],
    ["rejection", rejections],
  ].flatMap(([kind, counted]) => Object.entries(counted).map(([code, amount]) => ({ kind, code, amount })));
  reconcile(byId("counts"), rows.filter(({ amount }) => amount > 0), {
    keyOf: ({ kind, code }) => `${kind} ${code}`,
    make: () => element("tr", {}, element("th", { scope: "row" }), element("td"), element("td", { className: "number" })),
    update(row, { kind, code, amount }) {
      const [name, kindCell, number] = row.children;
      setText(name, words(code));
      setText(kindCell, kind);
      setText(number, count(amount));
    },
  });
  byId("counts-empty").hidden = byId("counts").childElementCount > 0;
}
