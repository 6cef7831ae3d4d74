// The table of recent sessions. Their names, users and callers are what clients sent: text, always.

import { byId, element, reconcile, setText } from "./dom.js";
import { audio, clockOrDay, count, factor, milliseconds, NONE, plural, words } from "./format.js";
import { addressOf } from "./address.js";

/** Of each column after the first: its class and its text. */
const COLUMNS = [
  ["state", null],
  ["mid time", (session, now) => clockOrDay(new Date(session.started_at), now)],
  ["wide clip", ({ user_id, conversation_id }) => [user_id, conversation_id].filter((id) => id !== null).join(" / ") || NONE],
  ["wide clip", ({ principal }) => principal ?? NONE],
  ["number", ({ audio_s }) => audio(audio_s)],
  ["number mid", ({ transcriptions }) => count(transcriptions)],
  ["number wide", ({ onsets }) => count(onsets)],
  ["number mid", ({ errors }) => count(errors)],
  ["number mid", ({ latency_p50_ms }) => milliseconds(latency_p50_ms)],
  ["number", ({ latency_p95_ms }) => milliseconds(latency_p95_ms)],
  ["number wide", ({ real_time_factor }) => factor(real_time_factor)],
];
const ERRORS_COLUMN = 7;

export class Sessions {
  #latest = null;

  constructor() {
    byId("filter").addEventListener("input", () => this.#show());
    byId("live-only").addEventListener("change", () => this.#show());
  }

  update(data) {
    this.#latest = data;
    this.#show();
  }

  #show() {
    if (this.#latest === null) return;
    const { sessions, now } = this.#latest;
    const sought = byId("filter").value.trim().toLowerCase();
    const liveOnly = byId("live-only").checked;
    const found = sessions.filter((session) => (!liveOnly || session.state === "live") && matches(session, sought));
    reconcile(byId("sessions"), found, {
      keyOf: ({ key }) => key,
      make: newRow,
      update: (row, session) => showRow(row, session, new Date(now)),
    });
    const n_live = sessions.filter(({ state }) => state === "live").length;
    setText(byId("sessions-count"), sessions.length === 0 ? "" : `${count(n_live)} live, ${count(sessions.length - n_live)} ended`);
    byId("sessions-table").hidden = found.length === 0;
    byId("sessions-empty").hidden = found.length > 0;
    const isFiltered = sessions.length > 0;
    setText(
      byId("sessions-empty"),
      isFiltered ? `None of ${plural(sessions.length, "session")} fits.` : "No session yet. One appears here when a client sends start_session.",
    );
  }
}

function matches({ session_id, conversation_id, user_id, principal }, sought) {
  return [session_id, conversation_id, user_id, principal].some((text) => (text ?? "").toLowerCase().includes(sought));
}

function newRow({ key }) {
  // A `bdi`, so that an identifier with characters that turn the direction turns itself alone.
  const link = element("a", { href: addressOf(key) }, element("bdi"));
  const row = element("tr", {}, element("th", { scope: "row", className: "clip" }, link));
  for (const [name] of COLUMNS) row.append(element("td", { className: name }));
  row.cells[1].append(element("span", { className: "badge" }), " ", element("small"));
  return row;
}

function showRow(row, session, now) {
  const name = row.querySelector("bdi");
  setText(name, session.session_id);
  name.title = session.session_id;
  const isLive = session.state === "live";
  const [badge, reason] = row.cells[1].children;
  setText(badge, session.state);
  badge.dataset.tone = isLive ? "good" : "idle";
  setText(reason, isLive ? "" : words(session.reason));
  COLUMNS.forEach(([className, write], index) => {
    if (write === null) return;
    const cell = row.cells[index + 1];
    const text = write(session, now);
    setText(cell, text);
    if (className.includes("clip")) cell.title = text;
  });
  row.cells[ERRORS_COLUMN + 1].classList.toggle("trouble", session.errors > 0);
}
