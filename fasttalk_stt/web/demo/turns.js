// Who may talk: the bot's side of a conversation in which people interrupt. Decides by the server's
// messages alone; what it decides it does through the bot and `send`.
//
//   talking --onset--> held --rejected--> talking
//                        +---text------> listening --turn over--> talking

import { REJECTED } from "./measurements.js";

/** Behind the end of a turn, before the bot talks on: about what people leave. */
const REPLY_AFTER_MS = 900;
/** Where the end of a turn comes without a text that says so. */
const GIVE_UP_AFTER_MS = 3_000;

export class Turns {
  /**
   * `bot` is asked to talk and hold; `send(message)` reaches the server; `sendsInterrupt()` says whether
   * to interrupt as well; `measurements` is told what happened when; `onChange(state)` of each state:
   * "off", "waiting", "talking", "held" or "listening".
   */
  constructor({ bot, send, sendsInterrupt, measurements, onChange }) {
    Object.assign(this, { bot, send, sendsInterrupt, measurements, onChange });
    this.state = "off";
    this.wanted = false;
    this.inSession = false;
    this.open = new Set(); // utterances whose voice goes on
    this.undecided = new Set(); // while held: onsets that neither a text nor a rejection has answered
    this.timer = null;
  }

  /** The switch: whether the bot is to talk. */
  want(wanted) {
    this.wanted = wanted;
    this.#settle();
  }

  begin() {
    this.inSession = true;
    this.open.clear();
    this.#settle();
  }

  end() {
    this.inSession = false;
    this.open.clear();
    this.#settle();
  }

  take(message) {
    const utterance = message.data?.utterance;
    switch (message.type) {
      case "voice_activity_detected":
        this.#onset(message.data);
        break;
      case "voice_activity_rejected":
        this.#rejected(message.data);
        break;
      case "transcription":
        this.#heard(utterance);
        if (message.data.metadata.end_of_turn) {
          this.open.delete(utterance);
          this.#replyIn(REPLY_AFTER_MS);
        } else if (!this.open.has(utterance)) {
          this.#replyIn(GIVE_UP_AFTER_MS);
        }
        break;
      case "speech_ended":
        this.open.delete(utterance);
        // All words may be there already: then no text says that the turn is over.
        if (this.state !== "held") this.#replyIn(GIVE_UP_AFTER_MS);
        break;
    }
  }

  #onset(data) {
    clearTimeout(this.timer);
    this.open.add(data.utterance);
    if (this.state !== "talking" && this.state !== "held") return;
    this.undecided.add(data.utterance);
    if (this.state === "held") return;
    this.bot.hold();
    this.measurements.bargeIn(data);
    this.#become("held");
  }

  #rejected({ utterance, reason }) {
    this.open.delete(utterance);
    if (this.state !== "held") {
      this.#replyIn(REPLY_AFTER_MS);
      return;
    }
    this.measurements.outcome(utterance, REJECTED + reason);
    this.undecided.delete(utterance);
    if (this.undecided.size === 0) this.#talk(false);
  }

  #heard(utterance) {
    // Words from before the bot talked decide nothing.
    if (!this.undecided.has(utterance)) return;
    this.#decide("confirmed");
    if (this.sendsInterrupt()) this.send({ type: "interrupt", reason: "barge_in" });
    this.#tell("listening");
    this.#become("listening");
  }

  #decide(outcome) {
    for (const utterance of this.undecided) this.measurements.outcome(utterance, outcome);
    this.undecided.clear();
  }

  /** Unless somebody speaks then. */
  #replyIn(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#settle(), ms);
  }

  #settle() {
    clearTimeout(this.timer);
    if (!this.wanted || !this.inSession) {
      this.bot.hold();
      this.#decide("abandoned");
      if (this.inSession && (this.state === "talking" || this.state === "held")) {
        this.#tell("listening");
      }
      this.#become(this.wanted ? "waiting" : "off");
    } else if (this.state !== "talking" && this.state !== "held" && this.open.size === 0) {
      this.#talk(true);
    } else if (this.state === "off" || this.state === "waiting") {
      this.#become("listening"); // somebody speaks: let them finish
    }
  }

  #talk(tells) {
    if (tells) this.#tell("responding");
    this.bot.talk();
    this.#become("talking");
  }

  #tell(conversationState) {
    this.send({ type: "context_update", data: { conversation_state: conversationState } });
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.onChange(state);
  }
}
