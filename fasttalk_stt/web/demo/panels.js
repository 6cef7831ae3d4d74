// What the page says about itself: state, level, voice, the bot, figures, and notices.

import { REJECTED, median } from "./measurements.js";

const LOWEST_DB = -60;
const LEVEL_EVERY_MS = 250; // for screen readers; the bar moves with each frame

const STATES = {
  idle: "Not connected",
  starting: "Connecting …",
  live: "Listening",
  ending: "Finishing …",
};

const VOICES = {
  idle: "Idle",
  quiet: "Quiet",
  speech: "Speech",
  rejected: "Taken back",
};

const BOT_STATES = {
  off: "Turn it on and talk over it: it stops when it hears you, and goes on after a cough or an “mm-hm”.",
  waiting: "It begins as soon as a session runs: start the microphone or a recording.",
  talking: "Talking. Interrupt it!",
  held: "Silent: somebody speaks …",
  listening: "Interrupted. It goes on when the turn is over.",
};

const HINTS = {
  idle: "… or drop a recording here. Audio goes to this server and nowhere else.",
  starting: "Allow the microphone, if the browser asks.",
  ending: "The last words are on their way.",
};

function hint(state, source) {
  if (state !== "live") return source?.kind === "file" && state === "starting" ? "" : HINTS[state];
  if (source.kind === "microphone") return "Speak. A pause ends an utterance.";
  return source.behindS > 0
    ? `The server hears it ${source.behindS} s before you do, so that its words light up as you hear them.`
    : "You and the server hear it at the same time.";
}

export class Panels {
  #levelToldAt = 0;
  #voiceTimer = null;

  constructor(byId) {
    this.byId = byId;
  }

  state(state, source) {
    const { byId } = this;
    const status = byId("status");
    status.dataset.state = state;
    status.textContent =
      state === "live" && source?.kind === "file" ? `Playing ${source.name}` : STATES[state];
    const isIdle = state === "idle";
    const stop = byId("stop");
    const starts = ["microphone", "choose", "sample"].map(byId);
    const focused = document.activeElement;
    for (const button of starts) button.hidden = !isIdle;
    byId("source-hint").textContent = hint(state, source);
    stop.hidden = isIdle;
    stop.textContent = state === "ending" ? "Finishing … (skip)" : "Stop";
    // Who works with the keyboard goes on where the button was.
    if (starts.includes(focused) && !isIdle) stop.focus();
    if (focused === stop && isIdle) starts[0].focus();
    if (state === "live") this.voice("quiet");
    if (isIdle) {
      this.voice("idle");
      this.level(LOWEST_DB);
    }
  }

  /** For who works with the keyboard, where the button that was pressed is gone. */
  focus() {
    const { byId } = this;
    (byId("stop").hidden ? byId("microphone") : byId("stop")).focus();
  }

  /** The level of a frame in dBFS. */
  level(db) {
    const { byId } = this;
    const shown = Math.max(LOWEST_DB, Math.min(0, db));
    byId("meter-bar").style.setProperty("--level", 1 - shown / LOWEST_DB);
    const now = performance.now();
    if (now - this.#levelToldAt < LEVEL_EVERY_MS) return;
    this.#levelToldAt = now;
    byId("meter").setAttribute("aria-valuenow", Math.round(shown));
    byId("meter").setAttribute("aria-valuetext", shown <= LOWEST_DB ? "silent" : `${Math.round(shown)} dB`);
  }

  voice(state) {
    clearTimeout(this.#voiceTimer);
    const vad = this.byId("vad");
    vad.dataset.state = state;
    vad.textContent = VOICES[state];
    if (state === "rejected") this.#voiceTimer = setTimeout(() => this.voice("quiet"), 1_200);
  }

  /** `bargeIn` is the last one measured, if any. */
  bot(state, bargeIn) {
    const shown = this.byId("bot-state");
    let text = BOT_STATES[state];
    if (state === "talking" && bargeIn?.outcome?.startsWith(REJECTED)) {
      text = `Talking on: that was no interruption (${bargeIn.outcome.slice(REJECTED.length)}).`;
    } else if (bargeIn && bargeIn.silentAt !== null) {
      const ms = Math.round((bargeIn.silentAt - bargeIn.onsetAt) * 1000);
      if (state === "held") text = `Silent ${ms} ms after the voice began …`;
      if (state === "listening") text = `Interrupted: silent ${ms} ms after the voice began. It goes on when the turn is over.`;
    }
    shown.dataset.state = state;
    if (shown.textContent !== text) shown.textContent = text;
  }

  figures({ utterances, bargeIns }) {
    const heard = [...utterances];
    const show = (id, numbers) => {
      const value = median(numbers);
      this.byId(id).textContent = value === null ? "–" : `${Math.round(value * 1000)} ms`;
    };
    show(
      "figure-onset",
      heard.filter((each) => each.detectedAt !== null).map((each) => each.detectedAt - each.onsetAt),
    );
    show(
      "figure-text",
      heard
        .filter((each) => each.endOfTurn && each.endedAt !== null)
        .map((each) => each.textAt - each.endedAt),
    );
    show(
      "figure-bot",
      [...bargeIns].filter((each) => each.silentAt !== null).map((each) => each.silentAt - each.onsetAt),
    );
    this.byId("figure-count").textContent = heard.filter((each) => each.textAt !== null).length;
  }

  /** Tells something, or takes it back (null). With `again` there is a button to try again. */
  notice(text, { again = false } = {}) {
    const notice = this.byId("notice");
    this.byId("notice-text").textContent = text ?? "";
    this.byId("notice-again").hidden = !again;
    notice.hidden = text === null;
  }
}
