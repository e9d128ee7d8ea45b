'use strict';

// Further words for sound. What a line is heard to say can be recorded, and is
// posted to the test, which looks at it sample by sample.
const tapes = {}; // by mid

// tape records a line until it is cut.
async function tape(mid) {
  return rolling(mid, (await ear(mid)).input);
}

// compare is tape with the beeps that are sent on the left, and what is heard of
// them on the right.
async function compare(mid) {
  const merger = new ChannelMergerNode(context, { numberOfInputs: 2 });
  const { input } = await ear(mid);
  beeper.connect(merger, 0, 0);
  input.connect(merger, 0, 1);
  return rolling(mid, merger);
}

let beeper;

// beeps sends a tenth of a second of a tone each second.
async function beeps(hz, codec) {
  await sound();
  const buffer = new AudioBuffer({ length: context.sampleRate, sampleRate: context.sampleRate });
  const wave = buffer.getChannelData(0);
  for (let i = 0; i < context.sampleRate / 10; i++) wave[i] = 0.25 * Math.sin((2 * Math.PI * hz * i) / context.sampleRate);
  beeper = new AudioBufferSourceNode(context, { buffer, loop: true });
  const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  beeper.connect(out);
  beeper.start();
  force(pc.addTransceiver(out.stream.getAudioTracks()[0], { direction: 'sendrecv' }), 'audio', codec);
  return '';
}

async function rolling(mid, input) {
  await (context.taping ??= context.audioWorklet.addModule('tape.js'));
  const node = new AudioWorkletNode(context, 'tape', { channelCount: 2, channelCountMode: 'explicit' });
  const chunks = [];
  const over = new Promise((done) => { node.port.onmessage = ({ data }) => (data ? chunks.push(data) : done()); });
  input.connect(node).connect(new GainNode(context, { gain: 0 })).connect(context.destination);
  const it = { node, input, chunks, over, late: 0 };
  let last = clock();
  it.timer = setInterval(() => {
    it.late = Math.max(it.late, clock() - last - 10);
    last = clock();
  }, 10);
  tapes[String(mid)] = it;
  return '';
}

// cut posts what has been recorded, and tells the sampling rate, when each chunk
// began (its first sample, and milliseconds of the clock), and how late the page
// came to what it had to do meanwhile.
async function cut(mid, to) {
  const { node, input, chunks, over, timer, late } = tapes[String(mid)];
  clearInterval(timer);
  delete tapes[String(mid)];
  node.port.postMessage('cut');
  await over;
  input.disconnect(node);
  const marks = [];
  let frame = 0;
  for (const { at, samples } of chunks) {
    if (samples.length) marks.push([frame, at]);
    frame += samples.length / 2;
  }
  const answer = await fetch(to, { method: 'POST', body: new Blob(chunks.map((c) => c.samples)) });
  if (!answer.ok) throw new Error(`POST ${to}: ${answer.status}`);
  return JSON.stringify({ rate: context.sampleRate, marks, late });
}

// stereo sends a tone on each channel, in Opus, of which two channels are opt-in
// (RFC 7587, section 6.1).
async function stereo(left, right) {
  await sound();
  const merger = new ChannelMergerNode(context, { numberOfInputs: 2 });
  for (const [channel, frequency] of [left, right].entries()) {
    const oscillator = new OscillatorNode(context, { frequency });
    oscillator.connect(new GainNode(context, { gain: 0.25 })).connect(merger, 0, channel);
    oscillator.start();
  }
  const out = new MediaStreamAudioDestinationNode(context, { channelCount: 2 });
  merger.connect(out);
  const t = pc.addTransceiver(out.stream.getAudioTracks()[0], { direction: 'sendrecv', streams: [out.stream] });
  force(t, 'audio', 'opus');
  const make = pc.createOffer.bind(pc);
  pc.createOffer = async () => {
    const { type, sdp } = await make();
    return { type, sdp: sdp.replace(/(a=fmtp:\d+ [^\r\n]*useinbandfec=1)/g, '$1;stereo=1;sprop-stereo=1') };
  };
  return '';
}

// inbound returns the counters of what is received on a line.
async function inbound(mid) {
  let found = {};
  (await pc.getStats()).forEach((s) => { if (s.type === 'inbound-rtp' && s.mid === String(mid)) found = s; });
  return JSON.stringify(found);
}

// microphone is tone with telephone events beside the codec.
async function microphone(hz, codec) {
  const t = pc.addTransceiver(await toneTrack(hz), { direction: 'sendrecv' });
  const rank = ({ mimeType }) => [`audio/${codec}`, 'audio/telephone-event'].map((x) => x.toLowerCase()).indexOf(mimeType.toLowerCase());
  t.setCodecPreferences(RTCRtpReceiver.getCapabilities('audio').codecs.filter((c) => rank(c) >= 0).sort((a, b) => rank(a) - rank(b)));
  return '';
}

// dial presses keys, for so many milliseconds each, and waits until the last one
// has been sent.
async function dial(mid, keys, duration, gap) {
  const { dtmf } = transceiver(mid).sender;
  await until('keys can be pressed', 5000, () => dtmf.canInsertDTMF);
  const over = new Promise((done) => { dtmf.ontonechange = ({ tone }) => { if (!tone) done(); }; });
  dtmf.insertDTMF(keys, duration, gap);
  await over;
  return '';
}
