import { Trouble, captureTrouble, insecure } from './words.js';

// openSource returns the stream to send: a microphone, or the test chime.
export async function openSource(choice, processing, context) {
  if (choice === 'tone') return chime(context);
  if (!navigator.mediaDevices?.getUserMedia) throw insecure();
  const audio = {
    echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing,
  };
  if (choice) audio.deviceId = { exact: choice };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (err) {
    throw captureTrouble(err);
  }
}

// chime plays two soft notes and a pause, so that the way there and back shows
// as the distance between two shapes.
function chime(context) {
  if (!context) throw new Trouble('This browser has no Web Audio', 'Choose a microphone instead of the test chime.');
  const rate = context.sampleRate;
  const buffer = context.createBuffer(1, Math.round(rate * 2.4), rate);
  const samples = buffer.getChannelData(0);
  for (const [hz, at, gain] of [[523.25, 0, 0.3], [783.99, 0.28, 0.2]]) {
    const begin = Math.round(at * rate);
    for (let i = begin; i < samples.length; i++) {
      const t = (i - begin) / rate;
      samples[i] += gain * Math.min(1, t * 200) * Math.exp(-t * 5) * Math.sin(2 * Math.PI * hz * t);
    }
  }
  const player = new AudioBufferSourceNode(context, { buffer, loop: true });
  const out = context.createMediaStreamDestination();
  player.connect(out);
  player.start();
  return out.stream;
}

// microphones lists what can be chosen. Names are known only after a grant.
export async function microphones() {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const all = await navigator.mediaDevices.enumerateDevices();
  return all.filter((d) => d.kind === 'audioinput' && d.deviceId && d.deviceId !== 'default' && d.label);
}

// codecs lists what this browser can both send and receive, best first.
export function codecs() {
  const mimeTypes = (kind) => (kind?.getCapabilities?.('audio')?.codecs ?? []).map((c) => c.mimeType);
  const receives = new Set(mimeTypes(globalThis.RTCRtpReceiver));
  const helpers = /\/(cn|telephone-event|red|rtx|ulpfec)$/i;
  return [...new Set(mimeTypes(globalThis.RTCRtpSender))].filter((m) => receives.has(m) && !helpers.test(m));
}

// A Level tells how loud a stream is.
export class Level {
  constructor(context, stream) {
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.node = context.createMediaStreamSource(stream);
    this.node.connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
  }

  // decibels returns the power of the last 20 ms, in dB of full scale, from -60.
  decibels() {
    this.analyser.getFloatTimeDomainData(this.samples);
    let power = 0;
    for (const x of this.samples) power += x * x;
    return Math.max(-60, 10 * Math.log10(power / this.samples.length + 1e-9));
  }

  close() { this.node.disconnect(); }
}
