// Where speech comes from: a microphone or a file, both ending in the same frames on the same clock.

export const FRAME_S = 0.032;
const HIGHEST_RATE_HZ = 48_000;

/** By how much a device's rate is divided, so that the server takes it. */
export function decimation(rateHz) {
  return Math.ceil(rateHz / HIGHEST_RATE_HZ);
}

/** Frames of everything that is connected to `input`, until it is stopped. */
export class Capture {
  constructor(context, onFrame) {
    const factor = decimation(context.sampleRate);
    this.rateHz = Math.round(context.sampleRate / factor);
    this.node = new AudioWorkletNode(context, "capture", {
      numberOfInputs: 1,
      numberOfOutputs: 1,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { frameSamples: Math.round(this.rateHz * FRAME_S), factor },
    });
    this.node.port.onmessage = ({ data }) => onFrame(data);
    // It writes silence there; a node that leads nowhere may not be run at all.
    this.node.connect(context.destination);
  }

  get input() {
    return this.node;
  }

  stop() {
    this.node.port.onmessage = null;
    this.node.port.postMessage("stop");
    this.node.disconnect();
  }
}

export class Microphone {
  /** Asks for the microphone; rejects with what getUserMedia rejects with. */
  static async open(context, { echoCancellation }) {
    const stream = await navigator.mediaDevices.getUserMedia({
      // The model was trained on speech as it is: nothing but the echo is taken away.
      audio: { echoCancellation, noiseSuppression: false, autoGainControl: false, channelCount: 1 },
    });
    return new Microphone(context, stream);
  }

  constructor(context, stream) {
    this.kind = "microphone";
    this.stream = stream;
    this.node = context.createMediaStreamSource(stream);
  }

  /** `onEnd` is called when the device goes away. */
  start(input, onEnd) {
    this.node.connect(input);
    for (const track of this.stream.getTracks()) track.onended = onEnd;
  }

  stop() {
    this.node.disconnect();
    for (const track of this.stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
  }
}

export class FileSource {
  /** Decodes at the context's rate; rejects where the browser cannot. */
  static async open(context, bytes, name) {
    return new FileSource(context, await context.decodeAudioData(bytes), name);
  }

  constructor(context, buffer, name) {
    this.kind = "file";
    this.name = name;
    this.context = context;
    this.durationS = buffer.duration;
    this.node = context.createBufferSource();
    this.node.buffer = buffer;
    this.delay = context.createDelay(10);
    this.startedAt = null;
  }

  /** The server hears it now, people `behindS` later, when the words are there. */
  start(input, onEnd, behindS) {
    this.delay.delayTime.value = behindS;
    this.node.connect(input);
    this.node.connect(this.delay).connect(this.context.destination);
    this.node.onended = onEnd;
    // Ahead of what a busy machine may be late, so that it begins when it says.
    this.startedAt = this.context.currentTime + 0.25;
    this.node.start(this.startedAt);
  }

  /** Have people hear it when the server does, from now on. */
  catchUp() {
    this.delay.delayTime.setTargetAtTime(0, this.context.currentTime, 0.05);
  }

  get behindS() {
    return this.delay.delayTime.value;
  }

  stop() {
    this.node.onended = null;
    if (this.startedAt !== null) this.node.stop();
    this.node.disconnect();
    this.delay.disconnect();
  }
}

/** The level of a frame in dBFS, and its peaks in `count` equal parts, 0-1. */
export function measure(samples, count) {
  const peaks = new Array(count).fill(0);
  let power = 0;
  for (let i = 0; i < samples.length; i += 1) {
    const value = Math.abs(samples[i]);
    power += value * value;
    const part = Math.min(count - 1, Math.floor((i * count) / samples.length));
    if (value > peaks[part]) peaks[part] = value;
  }
  return { db: 10 * Math.log10(power / samples.length + 1e-12), peaks };
}

/** Frames on the wire: little-endian whatever the machine. */
export function encode(samples, encoding) {
  const bytes = encoding === "s16le" ? 2 : 4;
  const view = new DataView(new ArrayBuffer(samples.length * bytes));
  for (let i = 0; i < samples.length; i += 1) {
    if (bytes === 4) view.setFloat32(4 * i, samples[i], true);
    else view.setInt16(2 * i, Math.round(32_767 * Math.max(-1, Math.min(1, samples[i]))), true);
  }
  return view.buffer;
}
