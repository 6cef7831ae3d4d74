// What was said, utterance by utterance: partial text that turns into words with times.

import { Bounded } from "./bounded.js";

const MAX_UTTERANCES = 150;
const MAX_WORDS = 3_000;
/** Words below these are marked; tiny models are sure of most words to 0.8 and more. */
const UNSURE = 0.8;
const DOUBTFUL = 0.5;

const REJECTIONS = {
  noise: "no speech after all",
  too_short: "too short to be speech",
  backchannel: "a listener’s sign, no interruption",
  interrupted: "interrupted",
  failed: "could not be understood",
};

export class Transcript {
  #items = new Map();
  #words = new Bounded(MAX_WORDS);
  #lit = null;
  #forgotten = 0;

  /** `list` is an <ol>; `spoken` a live region that gets each final's text; `empty`, `older` notes. */
  constructor({ list, spoken, empty, older }) {
    this.view = { list, spoken, empty, older };
    this.order = new Bounded(MAX_UTTERANCES, (item) => this.#forget(item));
    this.session = 0;
  }

  /** Utterances are counted from 1 again. With `follows` words light up as they are heard. */
  begin(follows) {
    this.session += 1;
    this.follows = follows;
    this.#words.clear();
    this.#light(null);
  }

  /** What is open will not be finished. */
  end() {
    for (const item of this.order) this.#showPartial(item, "", "");
    this.hear(Infinity);
  }

  clear() {
    this.view.list.replaceChildren();
    this.#items.clear();
    this.order.clear();
    this.#words.clear();
    this.#lit = null;
    this.#forgotten = 0;
    this.view.older.hidden = true;
    this.view.empty.hidden = false;
  }

  /** Shows a message of the server. `figures` has `onsetLag` and `textLag`, in seconds or null. */
  take(message, figures) {
    const { data, type } = message;
    switch (type) {
      case "partial_transcription":
        this.#partial(data);
        break;
      case "eager_transcription":
        this.#eager(data);
        break;
      case "eager_retracted":
        this.#showPartial(this.#item(data), "", "");
        break;
      case "transcription":
        this.#final(data, figures);
        break;
      case "voice_activity_rejected":
        this.#rejected(data);
        break;
    }
  }

  /** People hear the audio at `ms` of the session: the word that is said there lights up. */
  hear(ms) {
    if (!this.follows) return;
    let current = null;
    for (const word of this.#words) {
      if (word.ahead && word.startMs <= ms) {
        word.element.classList.remove("ahead");
        word.ahead = false;
      }
      if (word.startMs <= ms && ms < word.endMs) current = word.element;
    }
    this.#light(current);
    // What was heard need not be looked at again.
    this.#words.dropWhile((word) => word.endMs < ms - 1_000);
  }

  #light(element) {
    if (element === this.#lit) return;
    this.#lit?.classList.remove("lit");
    element?.classList.add("lit");
    this.#lit = element;
  }

  #partial({ text, stable_text: stable, ...data }) {
    const item = this.#item(data);
    // It covers the whole utterance; what is final already stands before it.
    this.#showPartial(item, ...withoutFinal(text, stable, item.finalText));
  }

  #eager({ text, ...data }) {
    const item = this.#item({ ...data, audio_start_ms: data.metadata.audio_start_ms });
    this.#showPartial(item, text, "");
    item.element.classList.add("eager");
  }

  #final(data, { onsetLag, textLag }) {
    const { text, timestamps, metadata } = data;
    const item = this.#item({ ...data, audio_start_ms: metadata.audio_start_ms });
    this.#showPartial(item, "", "");
    if (text) {
      item.finalText = `${item.finalText} ${text}`.trim();
      for (const node of this.#wordNodes(text, timestamps)) item.words.append(node, " ");
      this.view.spoken.replaceChildren(text);
    }
    if (!item.finalText) {
      this.#drop(item);
      return;
    }
    item.facts.replaceChildren(
      ...facts([
        ["voice noticed after", onsetLag, "From the beginning of the voice until its onset was reported"],
        ["text after", textLag, "From the end of the voice until the text was here"],
      ]),
    );
    if (metadata.language && metadata.language !== "en") item.facts.append(fact(metadata.language));
    this.#follow();
  }

  #wordNodes(text, timestamps) {
    if (!timestamps) return [document.createTextNode(text)];
    return timestamps.map(({ word, start_ms: startMs, end_ms: endMs, confidence }) => {
      const element = document.createElement("span");
      element.className = "word";
      element.textContent = word;
      element.title = `${Math.round(confidence * 100)} % sure, ${seconds(startMs)}–${seconds(endMs)} s`;
      if (confidence < DOUBTFUL) element.classList.add("doubtful");
      else if (confidence < UNSURE) element.classList.add("unsure");
      if (this.follows) {
        element.classList.add("ahead");
        this.#words.push({ element, startMs, endMs, ahead: true });
      }
      return element;
    });
  }

  #rejected(data) {
    const item = this.#item(data);
    this.#showPartial(item, "", "");
    item.element.classList.add("rejected");
    const what = REJECTIONS[data.reason] ?? data.reason;
    item.words.replaceChildren(data.text ? `“${data.text}” – ${what}` : `Taken back: ${what}`);
    item.finalText ||= what;
    this.#follow();
  }

  /** The item of a message's utterance, made where there is none. */
  #item({ utterance, audio_start_ms: startMs }) {
    const key = `${this.session}.${utterance}`;
    const known = this.#items.get(key);
    if (known) return known;
    const element = document.createElement("li");
    const time = document.createElement("span");
    time.className = "time";
    time.textContent = clock(startMs);
    const words = document.createElement("p");
    words.className = "words";
    const partial = document.createElement("p");
    partial.className = "partial";
    partial.hidden = true;
    const stable = document.createElement("span");
    stable.className = "stable";
    const rest = document.createElement("span");
    partial.append(stable, rest);
    const facts = document.createElement("p");
    facts.className = "facts";
    element.append(time, words, partial, facts);
    const item = { key, element, words, partial, stable, rest, facts, finalText: "" };
    this.#items.set(key, item);
    this.view.empty.hidden = true;
    this.view.list.append(element);
    this.order.push(item);
    this.#follow();
    return item;
  }

  #showPartial(item, stable, rest) {
    item.element.classList.remove("eager");
    item.stable.textContent = stable;
    item.rest.textContent = rest;
    item.partial.hidden = !stable && !rest;
    if (!item.partial.hidden) this.#follow();
  }

  #drop(item) {
    item.element.remove();
    this.#items.delete(item.key);
  }

  #forget(item) {
    this.#drop(item);
    this.#forgotten += 1;
    this.view.older.hidden = false;
    this.view.older.textContent = `${this.#forgotten} earlier utterances are no longer shown.`;
  }

  /** Keeps the end in sight, unless somebody has scrolled up to read. */
  #follow() {
    const { list } = this.view;
    const distance = list.scrollHeight - list.scrollTop - list.clientHeight;
    if (distance < 200) list.scrollTop = list.scrollHeight;
  }
}

/** The parts of a partial, stable and rest, that are behind what is final. */
function withoutFinal(text, stable, finalText) {
  const skip = text.startsWith(finalText) ? finalText.length : 0;
  return [stable.slice(skip), text.slice(Math.max(skip, stable.length))];
}

function facts(entries) {
  return entries
    .filter(([, value]) => value !== null)
    .map(([name, value, title]) => fact(`${name} ${Math.round(value * 1000)} ms`, title));
}

function fact(text, title = "") {
  const element = document.createElement("span");
  element.textContent = text;
  element.title = title;
  return element;
}

function seconds(ms) {
  return (ms / 1000).toFixed(2);
}

function clock(ms) {
  const whole = Math.floor(ms / 1000);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
