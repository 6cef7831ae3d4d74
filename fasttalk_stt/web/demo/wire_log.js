// What travels over the socket: the newest messages as JSON, audio frames counted in one line.

import { Bounded } from "./bounded.js";

const MAX_LINES = 300;
const MAX_CHARS = 2_000;

export class WireLog {
  #lines = new Bounded(MAX_LINES, ({ element }) => element.remove());
  #audio = null;
  #startedAt = performance.now();

  /** `list` is an <ol>. */
  constructor(list) {
    this.list = list;
  }

  begin() {
    this.#startedAt = performance.now();
    this.#audio = null;
  }

  sent(message) {
    this.#audio = null;
    this.#add("sent", message.type, JSON.stringify(message));
  }

  received(message) {
    this.#audio = null;
    this.#add("received", message.type, JSON.stringify(message));
  }

  audio(bytes) {
    this.#audio ??= Object.assign(this.#add("sent", "audio", ""), { frames: 0, bytes: 0 });
    this.#audio.frames += 1;
    this.#audio.bytes += bytes;
    const { frames } = this.#audio;
    this.#audio.body.data = `${frames} ${frames === 1 ? "frame" : "frames"}, ${(this.#audio.bytes / 1000).toFixed(1)} kB`;
  }

  note(text) {
    this.#audio = null;
    this.#add("note", "note", text);
  }

  clear() {
    this.#audio = null;
    this.#lines.clear();
    this.list.replaceChildren();
  }

  text() {
    return [...this.#lines].map(({ element }) => element.textContent).join("\n");
  }

  #add(direction, type, text) {
    const at = ((performance.now() - this.#startedAt) / 1000).toFixed(2).padStart(7);
    const element = document.createElement("li");
    element.className = direction;
    const arrow = { sent: "→", received: "←", note: "·" }[direction];
    const head = document.createElement("span");
    head.className = "head";
    head.textContent = `${at} ${arrow} ${type} `;
    const cut = text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)} … (${text.length} characters)` : text;
    const body = document.createTextNode(cut);
    element.append(head, body);
    const follows = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    this.list.append(element);
    const line = { element, body };
    this.#lines.push(line);
    if (follows) this.list.scrollTop = this.list.scrollHeight;
    return line;
  }
}
