// What is drawn over time, and for how long.

import { Chart } from "./chart.js";
import { byId } from "./dom.js";
import { bytes, count, factor, NONE, withMs } from "./format.js";

const MIB = 1024 * 1024;
const LEAST_SPAN_S = 300;

/** What is counted is counted in whole numbers. */
const COUNTED = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 100_000];

const whole = (value) => value.toLocaleString("en");
const one = (value) => (value == null ? NONE : Number(value.toFixed(1)).toLocaleString("en"));

const DEFINITIONS = [
  {
    title: "Latency",
    write: withMs,
    axis: (value) => (value >= 1_000 ? `${value / 1_000} s` : `${value} ms`),
    least: 100,
    lines: [
      { key: "latency_p50_ms", name: "p50", color: "--series-1" },
      { key: "latency_p95_ms", name: "p95", color: "--series-2" },
      { key: "compute_p50_ms", name: "compute", color: "--series-3", dash: [4, 3] },
    ],
  },
  {
    title: "Real-time factor",
    write: factor,
    axis: (value) => String(value),
    least: 0.2,
    lines: [{ key: "real_time_factor", name: "computing per audio", color: "--series-1" }],
  },
  {
    title: "Streams",
    write: one,
    axis: whole,
    steps: COUNTED,
    least: 4,
    lines: [
      { key: "connections", name: "connected", color: "--series-1" },
      { key: "sessions", name: "sessions", color: "--series-2", dash: [4, 3] },
      { key: "audio_s_per_s", name: "audio s/s", color: "--series-3" },
    ],
  },
  {
    title: "Queue and batches",
    write: one,
    axis: whole,
    steps: COUNTED,
    least: 4,
    lines: [
      { key: "queue", name: "waiting", color: "--series-1" },
      { key: "batch_size", name: "batch size", color: "--series-2", dash: [4, 3] },
    ],
  },
  {
    title: "Memory",
    write: (value) => bytes(value == null ? value : value * MIB),
    axis: (value) => (value >= 1024 ? `${Number((value / 1024).toFixed(1))} GiB` : `${value} MiB`),
    least: 256,
    // Halves and doubles, so that the axis reads well in GiB too.
    steps: Array.from({ length: 16 }, (_, power) => 32 * 2 ** power),
    scale: 1 / MIB,
    lines: [
      { key: "process_bytes", name: "process", color: "--series-1" },
      { key: "gpu_bytes", name: "GPU", color: "--series-2" },
    ],
  },
  {
    title: "Errors",
    write: count,
    axis: whole,
    steps: COUNTED,
    least: 4,
    bars: true,
    lines: [{ key: "errors", name: "errors told to clients", color: "--bad" }],
  },
];

export class Charts {
  #charts;
  #latest = null;

  constructor() {
    this.#charts = DEFINITIONS.map((definition) => [new Chart(byId("charts"), definition), definition]);
    byId("spans").addEventListener("change", () => this.#draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const [chart] of this.#charts) chart.recolor();
    });
  }

  update(data) {
    this.#latest = data;
    this.#draw();
  }

  #draw() {
    if (this.#latest === null) return;
    const { history, now, uptime_s } = this.#latest;
    const asked_s = Number(byId("spans").querySelector(":checked").value);
    // Of a server that is younger, not the time before it.
    const span_s = Math.min(asked_s, Math.max(LEAST_SPAN_S, uptime_s));
    for (const [chart, { scale, lines }] of this.#charts) {
      chart.update(scale ? scaled(history, scale, lines) : history, span_s, Date.parse(now) / 1000);
    }
  }
}

/** Axes get round numbers of MiB only where values are MiB. */
function scaled(history, scale, lines) {
  const series = Object.fromEntries(
    lines.map(({ key }) => [key, (history.series[key] ?? []).map((value) => (value === null ? null : value * scale))]),
  );
  return { ...history, series };
}
