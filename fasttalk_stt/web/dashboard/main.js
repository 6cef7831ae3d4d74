// Puts the page together: asks the server every two seconds, shows the answer, and says how things are
// between the page and the server.

import { Charts } from "./charts.js";
import { byId, setNotice, setText } from "./dom.js";
import { clock, duration } from "./format.js";
import { showOverview, showUnknown } from "./overview.js";
import { Poller } from "./poller.js";
import { NotKept, Server, TokenNeeded, Unreachable } from "./server.js";
import { Session } from "./session.js";
import { Sessions } from "./sessions.js";
import { Token } from "./token.js";

const INTERVAL_MS = 2_000;

const STATES = { loading: "Asking the server", live: "Live", paused: "Paused", lost: "No answer", token: "Token needed" };

class Page {
  #charts = new Charts();
  #sessions = new Sessions();
  #token = new Token(() => this.#poller.now());
  #server = new Server(() => this.#token.text);
  #session = new Session(this.#server, () => this.#poller.now());
  #poller = new Poller(() => this.#ask(), INTERVAL_MS);
  #state = "loading";
  /** When the last answer came, by this computer's clock, in ms; null before the first. */
  #answered_ms = null;
  #trouble = null;

  start() {
    byId("pause").addEventListener("click", () => this.#togglePause());
    setInterval(() => this.#tell(), 1_000);
    this.#poller.now();
  }

  async #ask() {
    try {
      const data = await this.#server.data();
      this.#token.accepted();
      showOverview(data);
      this.#charts.update(data);
      this.#sessions.update(data);
      byId("numbers").ariaBusy = "false";
      this.#answered_ms = Date.now();
      await this.#session.refresh(new Date(data.now));
      this.#trouble = null;
      this.#enter(this.#poller.isPaused ? "paused" : "live");
    } catch (error) {
      if (error instanceof TokenNeeded) {
        // Or the question could not be reached.
        this.#session.close();
        this.#token.ask();
        this.#enter("token");
        return false;
      }
      const isTheirs = error instanceof Unreachable || error instanceof NotKept;
      if (!isTheirs) console.error(error);
      this.#trouble = isTheirs ? error.message : "its answer cannot be shown";
      showUnknown();
      this.#enter("lost");
    }
    return true;
  }

  #togglePause() {
    if (this.#poller.isPaused) {
      this.#poller.resume();
      this.#enter(this.#trouble === null ? "live" : "lost");
    } else {
      this.#poller.pause();
      this.#enter("paused");
    }
    const button = byId("pause");
    button.ariaPressed = String(this.#poller.isPaused);
  }

  #enter(state) {
    if (state !== this.#state) {
      this.#state = state;
      // Only changes are announced, not each second.
      setText(byId("announcer"), this.#trouble === null ? STATES[state] : `${STATES[state]}: ${this.#trouble}`);
    }
    byId("link").dataset.state = state;
    document.body.classList.toggle("stale", state === "lost" && this.#answered_ms !== null);
    document.body.classList.toggle("locked", state === "token");
    this.#tell();
  }

  /** Say how old what is shown is. */
  #tell() {
    const age_s = this.#answered_ms === null ? null : (Date.now() - this.#answered_ms) / 1000;
    const isLost = this.#state === "lost";
    let text = STATES[this.#state];
    if (this.#state === "paused" && age_s !== null) text += `, ${duration(age_s)} old`;
    if (this.#state === "live") text += `, ${clock(new Date(this.#answered_ms))}`;
    if (isLost && age_s !== null) text += ` for ${duration(age_s)}`;
    setText(byId("link-text"), text);
    const since = age_s === null ? "Nothing is known of it yet." : `What is shown is ${duration(age_s)} old.`;
    const told = isLost ? `The server is gone: ${this.#trouble}. ${since} Trying again every 2 s.` : null;
    setNotice(byId("lost"), told);
    this.#session.tellLost(told);
  }
}

new Page().start();
