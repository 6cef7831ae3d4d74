// The last seconds of sound, scrolling: what was loud, what was taken for speech, when the bot talked.

import { Bounded } from "./bounded.js";
import { FRAME_S } from "./sources.js";

const PEAKS_PER_FRAME = 4;
const STILL_EVERY_MS = 250; // for people who asked for less motion

export class Waveform {
  #colours = {};
  #drawnAt = 0;

  /** `windowS` seconds of `now()` are shown. */
  constructor(canvas, now, windowS = 12) {
    this.canvas = canvas;
    this.now = now;
    this.windowS = windowS;
    this.peaks = new Bounded(Math.ceil((windowS + 1) / FRAME_S) * PEAKS_PER_FRAME);
    this.marks = new Bounded(200);
    this.speech = new Bounded(200);
    this.talking = new Bounded(200);
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => this.#readColours());
    this.#readColours();
    new ResizeObserver(() => this.#fit()).observe(canvas);
  }

  get peaksPerFrame() {
    return PEAKS_PER_FRAME;
  }

  /** For a new session: speech that was open in the last one will never be ended. */
  clear() {
    for (const list of [this.peaks, this.marks, this.speech, this.talking]) list.clear();
  }

  /** A frame of `seconds` that began `at`, as its peaks. */
  add(at, seconds, peaks) {
    peaks.forEach((peak, index) => this.peaks.push({ at: at + (index * seconds) / peaks.length, peak }));
  }

  /** kind: "onset" or "rejected". */
  mark(at, kind) {
    this.marks.push({ at, kind });
  }

  speechFrom(utterance, at) {
    this.speech.push({ utterance, from: at, to: null, kind: "open" });
  }

  /** kind: "heard" or "rejected". */
  speechTo(utterance, at, kind) {
    const found = this.speech.find((each) => each.utterance === utterance);
    if (!found) return;
    found.to = at;
    found.kind = kind;
  }

  botTalks(at, audible) {
    if (audible) this.talking.push({ from: at, to: null });
    else if (this.talking.last?.to === null) this.talking.last.to = at;
  }

  draw() {
    const wall = performance.now();
    if (this.still.matches && wall - this.#drawnAt < STILL_EVERY_MS) return;
    this.#drawnAt = wall;
    const { canvas, windowS } = this;
    const context = canvas.getContext("2d");
    const { width, height } = canvas;
    const end = this.now();
    const start = end - windowS;
    const x = (at) => ((at - start) / windowS) * width;
    const scale = window.devicePixelRatio || 1;
    const strip = 10 * scale;
    const middle = (height - strip) / 2;
    context.clearRect(0, 0, width, height);

    for (const { from, to, kind } of this.speech) {
      if (to !== null && to < start) continue;
      context.fillStyle = this.#colours[kind === "rejected" ? "rejectedBand" : "speechBand"];
      context.fillRect(x(from), 0, x(to ?? end) - x(from), height - strip);
    }

    context.fillStyle = this.#colours.wave;
    const bar = Math.max(scale, ((width * FRAME_S) / PEAKS_PER_FRAME / windowS) * 0.7);
    for (const { at, peak } of this.peaks) {
      if (at < start) continue;
      // The square root shows quiet speech too.
      const half = Math.max(scale / 2, Math.sqrt(Math.min(1, peak)) * (middle - 3 * scale));
      context.fillRect(x(at), middle - half, bar, 2 * half);
    }

    for (const { at, kind } of this.marks) {
      if (at < start) continue;
      const here = x(at);
      context.fillStyle = context.strokeStyle = this.#colours[kind];
      context.lineWidth = 2 * scale;
      context.beginPath();
      if (kind === "onset") {
        context.fillRect(here - scale, 0, 2 * scale, height - strip);
        context.moveTo(here - scale, 0);
        context.lineTo(here + 9 * scale, 5 * scale);
        context.lineTo(here - scale, 10 * scale);
        context.fill();
      } else {
        const arm = 5 * scale;
        const top = arm + 3 * scale;
        context.moveTo(here - arm, top - arm);
        context.lineTo(here + arm, top + arm);
        context.moveTo(here + arm, top - arm);
        context.lineTo(here - arm, top + arm);
        context.stroke();
      }
    }

    context.fillStyle = this.#colours.line;
    context.fillRect(0, height - strip + 3 * scale, width, scale);
    context.fillStyle = this.#colours.bot;
    for (const { from, to } of this.talking) {
      if (to !== null && to < start) continue;
      context.fillRect(x(from), height - strip + 2 * scale, x(to ?? end) - x(from), strip - 3 * scale);
    }
  }

  #readColours() {
    const style = getComputedStyle(this.canvas);
    const names = {
      wave: "--wave",
      onset: "--onset",
      rejected: "--rejected",
      speechBand: "--speech-band",
      rejectedBand: "--rejected-band",
      bot: "--bot",
      line: "--line",
    };
    for (const [name, property] of Object.entries(names)) {
      this.#colours[name] = style.getPropertyValue(property).trim();
    }
  }

  #fit() {
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * scale);
    this.canvas.height = Math.round(this.canvas.clientHeight * scale);
    this.#drawnAt = 0;
    this.draw();
  }
}
