// Asks again and again, one request at a time; not while the tab is hidden or somebody has paused it.

export class Poller {
  #ask;
  #interval_ms;
  #timer = null;
  #isAsking = false;
  #wantsMore = false;
  #isPaused = false;

  /**
   * @param ask an async function that asks once and handles its own errors; returns whether to go on
   * @param interval_ms from the end of one to the beginning of the next
   */
  constructor(ask, interval_ms) {
    this.#ask = ask;
    this.#interval_ms = interval_ms;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#wait();
      else if (!this.#isPaused) this.now();
    });
  }

  get isPaused() {
    return this.#isPaused;
  }

  pause() {
    this.#isPaused = true;
    this.#wait();
  }

  resume() {
    this.#isPaused = false;
    this.now();
  }

  /** Ask at once; again afterwards where a request is under way, which may be of an earlier state. */
  async now() {
    this.#wait();
    if (this.#isAsking) {
      this.#wantsMore = true;
      return;
    }
    let goesOn = true;
    do {
      this.#wantsMore = false;
      this.#isAsking = true;
      try {
        goesOn = await this.#ask();
      } finally {
        this.#isAsking = false;
      }
    } while (this.#wantsMore);
    if (goesOn && !this.#isPaused && !document.hidden) {
      this.#timer = setTimeout(() => this.now(), this.#interval_ms);
    }
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }
}
