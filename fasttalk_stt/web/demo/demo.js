// Puts the page together: buttons start a source, its frames go to a session, messages to the views.

import { Bot } from "./bot.js";
import { Measurements } from "./measurements.js";
import { fetchFile, onDrop, openFile, openMicrophone, openSample } from "./opening.js";
import { Panels } from "./panels.js";
import { INSECURE, Told, explainEnd, explainLoss, explainRefusal } from "./refusals.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { Capture, measure } from "./sources.js";
import { Transcript } from "./transcript.js";
import { Turns } from "./turns.js";
import { Waveform } from "./waveform.js";
import { WireLog } from "./wire_log.js";

/** Words of long speech come up to 3.5 s after they were said. */
const BEHIND_S = 4;
/** After a recording's last sample, so that its last utterance ends by itself. */
const AFTER_FILE_MS = 1_200;
/** For the last results; the server's own limit on one is 10 s. */
const END_WITHIN_MS = 15_000;
const CREDENTIAL = "fasttalk.credential";

const byId = (id) => document.getElementById(id);

class Demo {
  #context = null;
  #bot = null;
  #turns = null;
  #capture = null;
  #source = null;
  #session = null;
  #begun = false; // the first frame is sent, so positions have a time
  #ended = null; // why the server ended the session, where it did
  #lastError = null;
  #attempt = 0;
  #timer = null;
  #retry = null;
  #credential = sessionStorage.getItem(CREDENTIAL) ?? "";

  constructor() {
    const now = () => this.now;
    this.state = "idle"; // "starting", "live", "ending"
    this.measurements = new Measurements(now);
    this.transcript = new Transcript({
      list: byId("utterances"),
      spoken: byId("spoken"),
      empty: byId("empty"),
      older: byId("older"),
    });
    this.waveform = new Waveform(byId("waveform"), now);
    this.log = new WireLog(byId("log"));
    this.panels = new Panels(byId);
    this.settings = new Settings(byId("settings"), {
      onConfigure: (config) => this.#session?.send({ type: "configure", config }),
      onContext: () => this.#sendContext(),
    });
    this.#listen();
    this.#become("idle");
    requestAnimationFrame(() => this.#animate());
  }

  get now() {
    return this.#context?.currentTime ?? 0;
  }

  #listen() {
    byId("microphone").onclick = () => {
      const echoCancellation = this.settings.get("echo_cancellation");
      this.#start(() => openMicrophone(this.#context, { echoCancellation }));
    };
    byId("sample").onclick = () => this.#start(() => openSample(this.#context));
    byId("choose").onclick = () => byId("file").click();
    byId("file").onchange = ({ target }) => {
      const [file] = target.files;
      target.value = ""; // the same file may be chosen again
      if (file) this.#start(() => openFile(this.#context, file));
    };
    byId("stop").onclick = () => this.#stop();
    byId("clear").onclick = () => this.transcript.clear();
    byId("bot").onchange = ({ target }) => {
      this.panels.bot(target.checked ? "waiting" : "off", null);
      if (target.checked && this.#source?.kind === "file") this.#source.catchUp();
      this.#turns?.want(target.checked);
    };
    byId("log-clear").onclick = () => this.log.clear();
    byId("log-copy").onclick = () => this.#copyLog();
    byId("notice-close").onclick = () => {
      this.panels.notice(null);
      this.panels.focus();
    };
    byId("notice-again").onclick = () => {
      this.panels.notice(null);
      if (this.#retry) this.#start(this.#retry);
      this.panels.focus();
    };
    byId("credential-box").onclose = ({ target }) => {
      if (target.returnValue !== "ok" || !this.#retry) return;
      this.#credential = byId("credential").value.trim();
      sessionStorage.setItem(CREDENTIAL, this.#credential);
      this.#start(this.#retry);
    };
    onDrop(byId("stage"), (file) => this.#start(() => openFile(this.#context, file)));
    addEventListener("pagehide", () => this.#session?.close());
  }

  async #copyLog() {
    try {
      await navigator.clipboard.writeText(this.log.text());
    } catch {
      this.panels.notice("The browser does not let this page copy. Select the messages and copy them yourself.");
    }
  }

  /** Opens a source, then a session for it. What fails is told, with a button to try again. */
  async #start(open) {
    if (this.state !== "idle") return;
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#retry = open;
    this.#become("starting");
    this.panels.notice(null);
    this.waveform.clear();
    try {
      await this.#prepareAudio();
      const source = await open();
      if (attempt !== this.#attempt || this.state !== "starting") {
        source.stop(); // somebody pressed Stop meanwhile
        return;
      }
      this.#source = source;
    } catch (error) {
      if (attempt !== this.#attempt || this.state !== "starting") return;
      const text = error instanceof Told ? error.message : `This browser cannot do it: ${error.message}`;
      this.#finish(text);
      return;
    }
    this.#connect();
  }

  /** The audio graph, made at the first click: browsers allow no sound before. */
  async #prepareAudio() {
    if (!window.isSecureContext) throw new Told(INSECURE);
    if (!this.#context) {
      const context = new AudioContext({ latencyHint: "interactive" });
      await context.audioWorklet.addModule("worklets.js");
      this.#context = context;
    }
    await this.#context.resume();
    if (this.#bot) return;
    const clip = await this.#context.decodeAudioData(await fetchFile("bot.flac"));
    this.#bot = new Bot(this.#context, clip, (change) => {
      this.measurements.envelope(change);
      this.waveform.botTalks(change.at, change.audible);
      this.#showBot();
    });
    this.#turns = new Turns({
      bot: this.#bot,
      send: (message) => this.#session?.send(message),
      sendsInterrupt: () => byId("interrupt").checked,
      measurements: this.measurements,
      onChange: () => this.#showBot(),
    });
    this.#turns.want(byId("bot").checked);
  }

  #connect() {
    this.#ended = null;
    this.#lastError = null;
    this.#capture = new Capture(this.#context, (frame) => this.#frame(frame));
    const config = this.settings.config(this.#capture.rateHz);
    this.log.begin();
    try {
      this.#session = new Session(config, this.#credential, {
        message: (message) => this.#take(message),
        sent: (message) => this.log.sent(message),
        audio: (bytes) => this.log.audio(bytes),
        closed: (how) => this.#closed(how),
      });
    } catch {
      this.#askForCredential("A key or token has letters, digits and -._~ only.");
    }
  }

  #frame({ at, samples }) {
    const { db, peaks } = measure(samples, this.waveform.peaksPerFrame);
    this.waveform.add(at, samples.length / this.#capture.rateHz, peaks);
    this.panels.level(db);
    if (!this.#session?.takesAudio) return;
    if (!this.#begun) this.#begin(at);
    this.#session.sendAudio(samples);
    this.measurements.framesSent += 1;
  }

  /** The first frame that is sent: the session's clock begins with it, and a recording right behind. */
  #begin(at) {
    this.#begun = true;
    const isFile = this.#source.kind === "file";
    if (isFile) {
      const behindS = this.settings.get("behind") && !byId("bot").checked ? BEHIND_S : 0;
      this.#source.start(this.#capture.input, () => this.#fileEnded(), behindS);
    }
    this.measurements.sessionStarted(at, this.#capture.rateHz, isFile ? this.#source.startedAt : null);
    this.transcript.begin(isFile);
    this.#sendContext();
    this.#turns.begin();
    this.#become("live");
  }

  #fileEnded() {
    // People may hear it later than the server.
    this.#timer = setTimeout(() => this.#stop(), AFTER_FILE_MS + this.#source.behindS * 1000);
  }

  #sendContext() {
    const expected = this.settings.get("expected_response_type");
    this.#session?.send({ type: "context_update", data: { expected_response_type: expected } });
  }

  #take(message) {
    this.log.received(message);
    const { data, type } = message;
    if (type === "session_started") {
      this.settings.show(message.config);
      if (this.#source.kind === "microphone") {
        this.#source.start(this.#capture.input, () => this.#sourceGone());
      }
      return;
    }
    if (type === "error") this.#error(message.error);
    if (type === "session_ended") {
      this.#ended = message.reason;
      this.#session.close();
    }
    if (!data || !this.#begun) return;
    this.measurements.take(message);
    this.#turns.take(message);
    this.transcript.take(message, {
      onsetLag: this.measurements.onsetLag(data.utterance),
      textLag: this.measurements.textLag(data.utterance),
    });
    this.#mark(type, data);
    this.panels.figures(this.measurements);
  }

  #mark(type, data) {
    const { measurements, waveform } = this;
    if (type === "voice_activity_detected") {
      waveform.mark(this.#context.currentTime, "onset");
      waveform.speechFrom(data.utterance, measurements.at(data.audio_start_ms));
      this.panels.voice("speech");
    } else if (type === "voice_activity_rejected") {
      waveform.mark(this.#context.currentTime, "rejected");
      waveform.speechTo(data.utterance, this.#context.currentTime, "rejected");
      this.panels.voice("rejected");
    } else if (type === "speech_ended") {
      waveform.speechTo(data.utterance, measurements.at(data.audio_end_ms), "heard");
      this.panels.voice("quiet");
    }
  }

  #error(error) {
    this.#lastError = { text: error.message, at: performance.now() };
    this.panels.notice(error.message);
    // What the server refused did not begin a session, and no other answer will come.
    if (!this.#session.started) this.#session.close();
  }

  #sourceGone() {
    this.panels.notice("The microphone has gone away. What was said until then is being finished.");
    this.#stop();
  }

  /** Asks for the last results and waits for them. */
  #stop() {
    clearTimeout(this.#timer);
    if (this.state !== "live") {
      this.#session?.close();
      if (!this.#session) this.#finish(null);
      return;
    }
    this.#become("ending");
    this.#turns.end();
    this.#session.end();
    this.#source.stop();
    this.#timer = setTimeout(() => this.#session?.close(), END_WITHIN_MS);
  }

  async #closed(how) {
    const error = this.#lastError;
    if (how.asked) {
      this.#finish(this.#session.started ? explainEnd(this.#ended) : (error?.text ?? null));
    } else if (how.opened) {
      // An older error was another matter.
      const isCause = error && performance.now() - error.at < 3_000;
      this.#finish(explainLoss(how, isCause ? error.text : null));
    } else {
      const { kind, text } = await explainRefusal(this.#credential);
      if (kind === "credential") this.#askForCredential(text);
      else this.#finish(text);
    }
  }

  #askForCredential(why) {
    this.#finish(null);
    byId("credential-why").textContent = why;
    byId("credential").value = "";
    const box = byId("credential-box");
    box.returnValue = "";
    box.showModal();
  }

  /** Everything of a session is taken down; `problem` is told where there is one. */
  #finish(problem) {
    clearTimeout(this.#timer);
    this.#turns?.end();
    this.#source?.stop();
    this.#capture?.stop();
    this.#source = this.#capture = this.#session = null;
    this.#begun = false;
    this.transcript.end();
    if (problem) {
      this.log.note(problem);
      this.panels.notice(problem, { again: true });
    }
    this.#become("idle");
    // Once the bot has faded out.
    setTimeout(() => {
      if (this.state === "idle") this.#context?.suspend();
    }, 200);
  }

  #become(state) {
    this.state = state;
    this.panels.state(state, this.#source);
    this.settings.lock(state !== "idle");
  }

  #showBot() {
    if (this.#turns) this.panels.bot(this.#turns.state, this.measurements.bargeIns.last);
    this.panels.figures(this.measurements);
  }

  #animate() {
    if (this.state !== "idle") {
      this.waveform.draw();
      this.#follow();
    }
    requestAnimationFrame(() => this.#animate());
  }

  #follow() {
    if (!this.#begun || this.#source?.kind !== "file") return;
    const heardAt = this.#context.currentTime - this.#source.behindS - (this.#context.outputLatency || 0);
    this.transcript.hear((heardAt - this.measurements.sessionStartedAt) * 1000);
  }
}

const demo = new Demo();

/** For tests and the curious; times are AudioContext.currentTime in seconds. */
window.fasttalkDemo = {
  get state() {
    return demo.state;
  },
  /** The audio clock. */
  get now() {
    return demo.now;
  },
  get measurements() {
    return demo.measurements.toJSON();
  },
};
