// One WebSocket and one session on it: JSON and audio out, messages in. Knows nothing of the page.

import { encode } from "./sources.js";

export const TOO_SLOW = "too slow";

/** More than this unsent means that the network does not keep up: 20 s of speech at 48 kHz. */
const MAX_UNSENT_BYTES = 2_000_000;

/** The server's address, beside the page's. */
export function serverUrl(path) {
  return new URL(`../${path}`, document.baseURI);
}

export class Session {
  #gaveUp = ""; // why we closed it, where nobody had asked for that

  /**
   * `on` has message(message), sent(message), audio(bytes) and closed({opened, code, reason, asked}):
   * `opened` says whether the server let us in, `asked` whether we closed it ourselves.
   * Throws SyntaxError for a credential that cannot travel.
   */
  constructor(config, credential, on) {
    const url = serverUrl("ws/transcribe");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    // A browser sets no headers on a WebSocket; a subprotocol is not logged on the way, as addresses are.
    const protocols = credential ? ["fasttalk", `bearer.${credential}`] : ["fasttalk"];
    this.config = config;
    this.on = on;
    this.opened = false;
    this.asked = false;
    this.started = false;
    this.ending = false;
    this.socket = new WebSocket(url, protocols);
    this.socket.onopen = () => {
      this.opened = true;
      this.send({ type: "start_session", session_config: config });
    };
    this.socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "session_started") this.started = true;
      on.message(message);
    };
    this.socket.onclose = ({ code, reason }) => {
      on.closed({ opened: this.opened, code, reason: this.#gaveUp || reason, asked: this.asked });
    };
  }

  get takesAudio() {
    return this.started && !this.ending && this.socket.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify(message));
    this.on.sent(message);
  }

  /** Sends one frame, or gives the connection up where the network does not keep up. */
  sendAudio(samples) {
    if (this.socket.bufferedAmount > MAX_UNSENT_BYTES) {
      this.#gaveUp = TOO_SLOW;
      this.socket.close(1000, TOO_SLOW);
      return;
    }
    const bytes = encode(samples, this.config.encoding);
    this.socket.send(bytes);
    this.on.audio(bytes.byteLength);
  }

  /** Asks for the last results; the server answers with session_ended. */
  end() {
    if (!this.takesAudio) return;
    this.ending = true;
    this.send({ type: "end_session" });
  }

  close() {
    this.asked = true;
    if (this.socket.readyState <= WebSocket.OPEN) this.socket.close(1000);
  }
}
