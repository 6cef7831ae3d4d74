// One session in a drawer: its facts, where its audio went, its events. Opened by the page's address.

import { clearAddress, keyInAddress } from "./address.js";
import { byId, element, reconcile, setFacts, setNotice, setText } from "./dom.js";
import { audio, clock, count, duration, factor, NONE, percent, plural, withMs, words } from "./format.js";
import { NotKept } from "./server.js";
import { showTimeline } from "./timeline.js";

const ACCOUNT = [
  ["transcribed_ms", "transcribed", "--series-3"],
  ["silence_ms", "silence", "--series-idle"],
  ["discarded_ms", "discarded", "--series-2"],
];

const TONES = { transcription: "good", error: "bad", rejection: "warn", interrupt: "warn", onset: "info" };

export class Session {
  #drawer = byId("session");
  #server;
  #onOpen;
  #key = null;
  #isFinished = false;

  /** @param onOpen called when a session is to be shown, so that it is asked for at once */
  constructor(server, onOpen) {
    this.#server = server;
    this.#onOpen = onOpen;
    byId("session-close").addEventListener("click", () => this.#drawer.close());
    this.#drawer.addEventListener("click", (event) => {
      // What is beside the drawer belongs to it too; only there is it the target itself.
      if (event.target === this.#drawer) this.#drawer.close();
    });
    this.#drawer.addEventListener("close", () => {
      this.#key = null;
      clearAddress();
    });
    addEventListener("hashchange", () => this.#follow());
  }

  /**
   * Ask for the open session, where there is one that may have changed. Throws as the server does, but NotKept.
   *
   * @param now the server's time, a Date
   */
  async refresh(now) {
    // Of an address that was there before the page was.
    if (this.#key === null) this.#open();
    const key = this.#key;
    if (key === null || this.#isFinished) return;
    try {
      const session = await this.#server.session(key);
      if (this.#key !== key) return;
      this.#show(session, now);
      // Ended: nothing will change.
      this.#isFinished = session.state !== "live";
    } catch (error) {
      if (this.#key !== key) return;
      if (error instanceof NotKept) {
        this.#isFinished = true;
        setNotice(byId("session-trouble"), "The server keeps this session no longer. What is shown is what it last told.");
        return;
      }
      throw error;
    }
  }

  close() {
    this.#drawer.close();
  }

  /** Say in the drawer too that the server is gone; null: it is not. */
  tellLost(text) {
    if (this.#key !== null && !this.#isFinished) setNotice(byId("session-trouble"), text);
  }

  #follow() {
    if (keyInAddress() === null) {
      if (this.#drawer.open) this.#drawer.close();
    } else {
      this.#open();
      this.#onOpen();
    }
  }

  #open() {
    const key = keyInAddress();
    if (key === null || key === this.#key) return;
    this.#key = key;
    this.#isFinished = false;
    this.#clear();
    if (!this.#drawer.open) this.#drawer.showModal();
    byId("session-body").scrollTop = 0;
  }

  #clear() {
    setText(byId("session-id"), "Session");
    setText(byId("session-state"), "Loading");
    setNotice(byId("session-trouble"), null);
    setFacts(byId("session-facts"), []);
    byId("account").hidden = true;
    showTimeline(byId("timeline"), [], 0);
    showEvents([]);
    byId("events-empty").hidden = true;
  }

  #show(session, now) {
    const started = new Date(session.started_at);
    const isLive = session.state === "live";
    const end_s = ((isLive ? now : new Date(session.ended_at)) - started) / 1000;
    const last_s = session.events.at(-1)?.at_s ?? 0;
    setText(byId("session-id"), session.session_id);
    setText(
      byId("session-state"),
      `${isLive ? "live" : `ended: ${words(session.reason)}`} · ${clock(started)} · ${duration(end_s)}`,
    );
    showFacts(session);
    showAccount(session.account, isLive);
    showTimeline(byId("timeline"), session.events, Math.max(last_s, end_s));
    showEvents(session.events);
  }
}

function showFacts(session) {
  setFacts(byId("session-facts"), [
    ["Admitted as", session.principal ?? NONE],
    ["User", session.user_id],
    ["Conversation", session.conversation_id],
    ["Audio", audio(session.audio_s)],
    ["Texts", count(session.transcriptions)],
    ["Onsets", `${count(session.onsets)}, ${count(session.rejections)} rejected`],
    ["Errors", count(session.errors)],
    ["Latency p50", withMs(session.latency_p50_ms)],
    ["Latency p95", withMs(session.latency_p95_ms)],
    ["Real-time factor", factor(session.real_time_factor)],
  ]);
}

function showAccount(account, isLive) {
  byId("account").hidden = account === null;
  if (account === null) return;
  const parts = ACCOUNT.map(([key, name, color]) => ({ name, color, value_ms: account[key] }));
  const settled_ms = parts.reduce((sum, { value_ms }) => sum + value_ms, 0);
  // What has no outcome yet; for good where a drain cut the session off.
  parts.push({ name: isLive ? "open" : "unsettled", color: isLive ? "--line" : "--bad", value_ms: Math.max(0, account.received_ms - settled_ms) });
  const shown = parts.filter(({ value_ms }) => value_ms > 0);
  reconcile(byId("account-bar"), shown, {
    keyOf: ({ name }) => name,
    make: () => element("span"),
    update(span, { color, value_ms }) {
      span.style.backgroundColor = `var(${color})`;
      span.style.flexGrow = String(value_ms);
    },
  });
  reconcile(byId("account-key"), shown, {
    keyOf: ({ name }) => name,
    make: ({ name }) => element("div", {}, element("dt", {}, element("i", { className: "swatch" }), name), element("dd")),
    update(row, { color, value_ms }) {
      row.querySelector("i").style.color = `var(${color})`;
      setText(row.lastElementChild, `${audio(value_ms / 1000)}, ${percent(value_ms / Math.max(1, account.received_ms))}`);
    },
  });
}

function showEvents(events) {
  const rows = events.map((event, index) => ({ ...event, occurrence: occurrence(events, index) })).reverse();
  setText(byId("timeline-note"), events.length === 0 ? "" : `the latest ${plural(events.length, "event")}`);
  byId("events-empty").hidden = events.length > 0;
  reconcile(byId("events"), rows, {
    keyOf: ({ at_s, kind, occurrence: number }) => `${at_s} ${kind} ${number}`,
    make: newEvent,
    update: showEvent,
  });
}

/** How many events of that very time and kind came before, since a key must be unique. */
function occurrence(events, index) {
  let number = 0;
  for (let i = index - 1; i >= 0 && events[i].at_s === events[index].at_s; i -= 1) {
    if (events[i].kind === events[index].kind) number += 1;
  }
  return number;
}

function newEvent() {
  const row = element("tr", {}, element("th", { scope: "row", className: "number" }));
  for (const className of ["", "number mid", "what", "number mid", "number", "number mid"]) {
    row.append(element("td", { className }));
  }
  row.cells[1].append(element("span", { className: "badge" }));
  return row;
}

function showEvent(row, event) {
  const [at, , utterance, what, heard, latency, compute] = row.cells;
  const badge = row.cells[1].firstElementChild;
  setText(at, event.at_s.toFixed(2));
  setText(badge, words(event.kind));
  badge.dataset.tone = TONES[event.kind] ?? "idle";
  setText(utterance, event.utterance ?? "");
  setText(what, describe(event));
  const start = event.audio_start_ms == null ? "" : `${(event.audio_start_ms / 1000).toFixed(2)} s`;
  setText(heard, event.audio_duration_ms == null ? start : `${start} + ${(event.audio_duration_ms / 1000).toFixed(2)} s`);
  setText(latency, event.latency_ms == null ? "" : withMs(event.latency_ms));
  setText(compute, event.compute_ms == null ? "" : withMs(event.compute_ms));
}

function describe({ text, words: n_words, code, reason }) {
  const parts = [code, reason].filter((part) => part != null).map(words);
  if (n_words != null) parts.push(plural(n_words, "word"));
  if (text != null) parts.push(`“${text}”`);
  return parts.join(" · ");
}
