// The form of session settings: what a session starts with, and what may change on the way.

/** Fields that `configure` changes in a running session; the rest wait for the next one. */
const CONFIGURABLE = new Set([
  "language",
  "enable_timestamps",
  "buffer_duration",
  "interim_results",
  "barge_in_enabled",
  "endpoint_silence_ms",
  "vad_sensitivity",
  "vocabulary",
  "eager_results",
]);

const READERS = {
  text: (input) => input.value.trim() || null,
  number: (input) => Number(input.value),
  boolean: (input) => input.checked,
  lines: (input) => input.value.split("\n").map((line) => line.trim()).filter(Boolean),
};

/** Shown for what the server decides, until it has said how. */
const NOT_KNOWN = "as the server is set";

export class Settings {
  #changed = new Set(); // names of fields that somebody has changed
  #effective = {}; // the server's config, once a session has shown it

  /** `onConfigure(changes)` is called for fields of a running session, `onContext()` for its context. */
  constructor(form, { onConfigure, onContext }) {
    this.form = form;
    this.inSession = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", ({ target }) => {
      this.#showValues();
      if (!target.checkValidity() || !this.inSession) return;
      if (target.name === "expected_response_type") onContext();
      else if (CONFIGURABLE.has(target.name)) onConfigure({ [target.name]: read(target) });
    });
    form.addEventListener("input", ({ target }) => {
      this.#changed.add(target.name);
      this.#showValues();
    });
    this.#showValues();
  }

  get(name) {
    return read(this.form.elements[name]);
  }

  /** `session_config` for a session of that sample rate, without what is the server's to decide. */
  config(sampleRate) {
    const config = { sample_rate: sampleRate };
    for (const input of this.form.querySelectorAll("[data-config]")) {
      if (this.#isServers(input) || !input.checkValidity()) continue;
      config[input.name] = read(input);
    }
    return config;
  }

  /** Fills the form from the config of a session that has started. */
  show(config) {
    this.#effective = config;
    for (const input of this.form.querySelectorAll("[data-server]")) {
      if (this.#isServers(input) && input.name in config) input.value = config[input.name] ?? "";
    }
    this.#showValues();
  }

  /** In a session, what it cannot change any more is locked. */
  lock(inSession) {
    this.inSession = inSession;
    for (const input of this.form.querySelectorAll("[data-config], [data-device]")) {
      input.disabled = inSession && !CONFIGURABLE.has(input.name);
    }
  }

  /** Whether the field is the server's to decide, as nobody has changed it. */
  #isServers(input) {
    return "server" in input.dataset && !this.#changed.has(input.name);
  }

  #showValues() {
    const { language } = this.form.elements;
    const isKnown = !this.#isServers(language) || "language" in this.#effective;
    language.placeholder = isKnown ? "detect" : NOT_KNOWN;
    for (const output of this.form.querySelectorAll("output[for]")) {
      const input = this.form.querySelector(`#${output.htmlFor}`);
      // The server's value need not be one of the slider's.
      const value = this.#isServers(input) ? this.#effective[input.name] : input.value;
      output.value = value === undefined ? NOT_KNOWN : `${value}${output.dataset.unit ?? ""}`;
      input.setAttribute("aria-valuetext", output.value);
    }
  }
}

function read(input) {
  return READERS[input.dataset.type](input);
}
