// The bot's voice: a clip that talks, can be stopped within milliseconds and goes on where it was.

const FADE_IN_S = 0.06;
const FADE_OUT_S = 0.015; // without a click
const STEP_BACK_S = 0.4; // going on, it repeats a little: the word that was cut off

export class Bot {
  /**
   * `clip` is an AudioBuffer; `onEnvelope({at, audible})` tells when the bot's gain reached zero or left
   * it, on the audio clock.
   */
  constructor(context, clip, onEnvelope) {
    this.context = context;
    this.clip = clip;
    this.offsetS = 0;
    this.startedAt = null;
    this.source = null;
    this.gain = context.createGain();
    this.gain.gain.value = 0;
    this.gain.connect(context.destination);
    // The gain is a signal of its own, so that the probe sees what the audio thread really did.
    this.envelope = new ConstantSourceNode(context, { offset: 0 });
    this.envelope.connect(this.gain.gain);
    const probe = new AudioWorkletNode(context, "envelope-probe");
    probe.port.onmessage = ({ data }) => onEnvelope(data);
    this.envelope.connect(probe).connect(context.destination);
    this.envelope.start();
  }

  get isTalking() {
    return this.source !== null;
  }

  talk() {
    if (this.isTalking) return;
    const now = this.context.currentTime;
    this.source = new AudioBufferSourceNode(this.context, { buffer: this.clip, loop: true });
    this.source.connect(this.gain);
    this.source.start(now, this.offsetS);
    this.startedAt = now;
    this.#fade(1, FADE_IN_S);
  }

  /** Silent within 15 ms; `talk` goes on from here. */
  hold() {
    if (!this.isTalking) return;
    const now = this.context.currentTime;
    const played = this.offsetS + now - this.startedAt;
    this.offsetS = Math.max(0, (played - STEP_BACK_S) % this.clip.duration);
    this.#fade(0, FADE_OUT_S);
    this.source.stop(now + FADE_OUT_S + 0.01);
    this.source = null;
  }

  #fade(target, seconds) {
    const now = this.context.currentTime;
    const { offset } = this.envelope;
    const value = offset.value;
    offset.cancelScheduledValues(now);
    offset.setValueAtTime(value, now);
    offset.linearRampToValueAtTime(target, now + seconds);
  }
}
