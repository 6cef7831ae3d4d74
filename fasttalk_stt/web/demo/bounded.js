// A list that forgets its oldest entries.

export class Bounded {
  #entries = [];

  /** `onForgotten(entry)` is told of each that goes. */
  constructor(max, onForgotten = () => {}) {
    this.max = max;
    this.onForgotten = onForgotten;
  }

  push(entry) {
    this.#entries.push(entry);
    if (this.#entries.length > this.max) this.onForgotten(this.#entries.shift());
  }

  get length() {
    return this.#entries.length;
  }

  get last() {
    return this.#entries.at(-1);
  }

  /** Searched from the newest: that is where it is, nearly always. */
  find(matches) {
    return this.#entries.findLast(matches);
  }

  /** Forgets the oldest ones that match. */
  dropWhile(matches) {
    while (this.#entries.length > 0 && matches(this.#entries[0])) this.onForgotten(this.#entries.shift());
  }

  clear() {
    this.#entries = [];
  }

  [Symbol.iterator]() {
    return this.#entries[Symbol.iterator]();
  }
}
