// What happened when, in seconds of the audio clock (AudioContext.currentTime), for people and tests.

import { Bounded } from "./bounded.js";

/** Begins the outcome of an onset that was none. */
export const REJECTED = "rejected: ";

export class Measurements {
  #now;
  #audible = false; // the bot's gain, as far as the audio thread has told

  constructor(now) {
    this.#now = now;
    /** Time of the session's sample 0; all *_ms of the server count from it. */
    this.sessionStartedAt = null;
    /** Time of a file's first sample; null for a microphone. */
    this.fileStartedAt = null;
    this.sampleRate = null;
    this.framesSent = 0;
    this.bargeIns = new Bounded(200);
    this.utterances = new Bounded(200);
  }

  sessionStarted(at, sampleRate, fileStartedAt) {
    this.sessionStartedAt = at;
    this.sampleRate = sampleRate;
    this.fileStartedAt = fileStartedAt;
    this.framesSent = 0;
    // Utterances are counted from 1 again.
    this.bargeIns.clear();
    this.utterances.clear();
  }

  /** The audio clock's time of a position of the session. */
  at(ms) {
    return this.sessionStartedAt + ms / 1000;
  }

  take(message) {
    const { data } = message;
    if (message.type === "voice_activity_detected") {
      this.#utterance(data.utterance).onsetAt = this.at(data.audio_start_ms);
      this.#utterance(data.utterance).detectedAt = this.#now();
    } else if (message.type === "speech_ended") {
      this.#utterance(data.utterance).endedAt = this.at(data.audio_end_ms);
    } else if (message.type === "transcription") {
      const utterance = this.#utterance(data.utterance);
      utterance.textAt = this.#now();
      utterance.endOfTurn = data.metadata.end_of_turn;
    }
  }

  #utterance(number) {
    let found = this.utterances.find((each) => each.utterance === number);
    if (!found) {
      found = { utterance: number, onsetAt: null, detectedAt: null, endedAt: null, textAt: null, endOfTurn: false };
      this.utterances.push(found);
    }
    return found;
  }

  /** Seconds behind the end of the voice until its last text came; null while it is not known. */
  textLag(number) {
    const found = this.utterances.find((each) => each.utterance === number);
    if (!found?.endOfTurn || found.endedAt === null) return null;
    return found.textAt - found.endedAt;
  }

  /** Seconds behind the beginning of the voice until it was reported; null without a report. */
  onsetLag(number) {
    const found = this.utterances.find((each) => each.utterance === number);
    return found?.detectedAt == null ? null : found.detectedAt - found.onsetAt;
  }

  /** An onset met a talking bot. */
  bargeIn({ utterance, audio_start_ms: startMs }) {
    this.bargeIns.push({
      utterance,
      onsetAt: this.at(startMs),
      detectedAt: this.#now(),
      // It may not have got as far as a sound yet.
      silentAt: this.#audible ? null : this.#now(),
      outcome: null,
      outcomeAt: null,
      resumedAt: null,
    });
  }

  outcome(utterance, outcome) {
    const found = this.bargeIns.find((each) => each.utterance === utterance && each.outcome === null);
    if (found) Object.assign(found, { outcome, outcomeAt: this.#now() });
  }

  /** The bot's gain reached zero or left it. */
  envelope({ at, audible }) {
    this.#audible = audible;
    const last = this.bargeIns.last;
    if (!last) return;
    if (!audible) last.silentAt ??= at;
    else if (last.outcome === null) last.silentAt = null; // told late: it did sound
    else last.resumedAt ??= at;
  }

  toJSON() {
    const { sessionStartedAt, fileStartedAt, sampleRate, framesSent } = this;
    return {
      sessionStartedAt,
      fileStartedAt,
      sampleRate,
      framesSent,
      bargeIns: [...this.bargeIns],
      utterances: [...this.utterances],
    };
  }
}

/** The median of some numbers, null of none. */
export function median(numbers) {
  if (numbers.length === 0) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
