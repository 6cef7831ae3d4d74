// Runs on the audio thread: what is captured goes out in frames, each with its place on the audio clock.
/* global AudioWorkletProcessor, currentFrame, registerProcessor, sampleRate */

/**
 * Posts {at, samples}: `samples` float32 mono at sampleRate / factor, `at` the time of the first one in
 * seconds of AudioContext.currentTime. Silence where nothing is connected, so the clock never stops.
 */
class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions: { frameSamples, factor } }) {
    super();
    this.decimator = factor > 1 ? new Decimator(factor) : null;
    this.frame = new Float32Array(frameSamples);
    this.filled = 0;
    this.at = 0;
    this.running = true;
    this.port.onmessage = () => {
      this.running = false;
    };
  }

  process([input], [output]) {
    const block = input[0] ?? new Float32Array(output[0].length);
    const samples = this.decimator ? this.decimator.push(block) : block;
    for (let i = 0; i < samples.length; i += 1) {
      if (this.filled === 0) this.at = (currentFrame + (i * block.length) / samples.length) / sampleRate;
      this.frame[this.filled] = samples[i];
      this.filled += 1;
      if (this.filled === this.frame.length) {
        const full = this.frame;
        this.frame = new Float32Array(full.length);
        this.filled = 0;
        this.port.postMessage({ at: this.at, samples: full }, [full.buffer]);
      }
    }
    return this.running;
  }
}

/** Takes every factor-th sample behind a low-pass, for devices faster than the server takes (48 kHz). */
class Decimator {
  constructor(factor) {
    this.factor = factor;
    const length = 32 * factor + 1; // odd: the delay is a whole number of samples
    const cutoff = 0.45 / factor; // of the input's rate; a little below the output's half
    const middle = (length - 1) / 2;
    this.taps = Float32Array.from({ length }, (_, n) => {
      const x = n - middle;
      const sinc = x === 0 ? 2 * cutoff : Math.sin(2 * Math.PI * cutoff * x) / (Math.PI * x);
      return sinc * (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / (length - 1))); // Hann
    });
    const gain = this.taps.reduce((sum, tap) => sum + tap, 0);
    this.taps = this.taps.map((tap) => tap / gain);
    this.history = new Float32Array(length - 1);
    this.phase = 0;
  }

  push(block) {
    const joined = new Float32Array(this.history.length + block.length);
    joined.set(this.history);
    joined.set(block, this.history.length);
    const output = [];
    let start = this.phase;
    for (; start < block.length; start += this.factor) {
      let sum = 0;
      for (let tap = 0; tap < this.taps.length; tap += 1) sum += this.taps[tap] * joined[start + tap];
      output.push(sum);
    }
    this.phase = start - block.length;
    this.history = joined.slice(block.length);
    return output;
  }
}

/** Posts {at, audible} when a gain that it is fed with reaches zero, and when it leaves it. */
class EnvelopeProbe extends AudioWorkletProcessor {
  constructor() {
    super();
    this.audible = false;
  }

  process([input]) {
    const block = input[0];
    if (!block) return true;
    for (let i = 0; i < block.length; i += 1) {
      const audible = block[i] > 1e-4; // -80 dB
      if (audible !== this.audible) {
        this.audible = audible;
        this.port.postMessage({ at: (currentFrame + i) / sampleRate, audible });
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
registerProcessor("envelope-probe", EnvelopeProbe);
