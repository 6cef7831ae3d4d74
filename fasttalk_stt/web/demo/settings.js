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

export class Settings {
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
    form.addEventListener("input", () => this.#showValues());
    this.#showValues();
  }

  get(name) {
    return read(this.form.elements[name]);
  }

  /** `session_config` for a session of that sample rate. */
  config(sampleRate) {
    const config = { sample_rate: sampleRate };
    for (const input of this.form.querySelectorAll("[data-config]")) {
      if (input.checkValidity()) config[input.name] = read(input);
    }
    return config;
  }

  /** In a session, what it cannot change any more is locked. */
  lock(inSession) {
    this.inSession = inSession;
    for (const input of this.form.querySelectorAll("[data-config], [data-device]")) {
      input.disabled = inSession && !CONFIGURABLE.has(input.name);
    }
  }

  #showValues() {
    for (const output of this.form.querySelectorAll("output[for]")) {
      const input = this.form.querySelector(`#${output.htmlFor}`);
      output.value = `${input.value}${output.dataset.unit ?? ""}`;
    }
  }
}

function read(input) {
  return READERS[input.dataset.type](input);
}
