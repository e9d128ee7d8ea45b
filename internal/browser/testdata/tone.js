// Sends a tone to the server under test, listens to what comes back, and posts
// what it heard. Everything is set by the query; see Tone in tone.go.
const query = new URLSearchParams(location.search);
const param = (name, fallback) => query.get(name) ?? fallback;
const seconds = Number(param('seconds', '6'));
const settle = Number(param('settle', '1'));
const frequency = Number(param('freq', '440'));
const right = Number(param('right', '0')); // 0: mono
const codec = param('codec', '');
const level = 0.25; // linear peak of the tone
const fftSize = 32768;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function within(ms, what, promise) {
  return Promise.race([promise, wait(ms).then(() => { throw new Error(`${what} took more than ${ms} ms`); })]);
}

function until(target, event, done) {
  return new Promise((resolve, reject) => {
    const look = () => { try { if (done()) resolve(); } catch (err) { reject(err); } };
    target.addEventListener(event, look);
    look();
  });
}

function source(context) {
  const out = context.createMediaStreamDestination();
  out.channelCount = right ? 2 : 1;
  const tones = right ? [frequency, right] : [frequency];
  const merger = context.createChannelMerger(tones.length);
  tones.forEach((hz, channel) => {
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    oscillator.frequency.value = hz;
    gain.gain.value = level;
    oscillator.connect(gain).connect(merger, 0, channel);
    oscillator.start();
  });
  merger.connect(out);
  return out.stream;
}

function force(transceiver, name) {
  const all = RTCRtpReceiver.getCapabilities('audio').codecs;
  const wanted = all.filter((c) => c.mimeType.toLowerCase() === `audio/${name}`.toLowerCase());
  if (!wanted.length) throw new Error(`this browser has no ${name}: ${all.map((c) => c.mimeType).join(' ')}`);
  transceiver.setCodecPreferences(wanted);
}

async function post(url, body) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`POST ${url}: ${answer.status} ${await answer.text()}`);
  return answer;
}

async function connect(stream) {
  const pc = new RTCPeerConnection();
  const track = stream.getAudioTracks()[0];
  const transceiver = pc.addTransceiver(track, { direction: 'sendrecv', streams: [stream] });
  if (codec) force(transceiver, codec);
  const heard = new Promise((resolve) => { pc.ontrack = (e) => resolve(e.streams[0] ?? new MediaStream([e.track])); });

  const offer = await pc.createOffer();
  // Two channels of Opus are opt-in (RFC 7587, section 6.1).
  if (right) offer.sdp = offer.sdp.replace(/(a=fmtp:\d+ [^\r\n]*useinbandfec=1)/g, '$1;stereo=1;sprop-stereo=1');
  await pc.setLocalDescription(offer);
  await Promise.race([
    until(pc, 'icegatheringstatechange', () => pc.iceGatheringState === 'complete'),
    wait(1500),
  ]);
  const begin = performance.now();
  const { sdp, type } = pc.localDescription;
  const answer = await (await within(10000, 'the offer', post(param('offer', '/offer'), { sdp, type }))).json();
  await pc.setRemoteDescription(answer);
  await within(10000, 'connecting', until(pc, 'connectionstatechange', () => {
    if (pc.connectionState === 'failed') throw new Error('connection failed');
    return pc.connectionState === 'connected';
  }));
  const connectMs = performance.now() - begin;
  return { pc, connectMs, stream: await within(5000, 'the track', heard), answer: answer.sdp, offer: sdp };
}

// peak returns the frequency of the strongest line, refined by a parabola
// through the three bins around it, and its level in dB.
function peak(analyser) {
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  let at = 1;
  for (let i = 2; i < bins.length - 1; i++) if (bins[i] > bins[at]) at = i;
  const [a, b, c] = [bins[at - 1], bins[at], bins[at + 1]];
  const shift = Number.isFinite(a - b + c) && a - 2 * b + c !== 0 ? (a - c) / (2 * (a - 2 * b + c)) : 0;
  const hz = (i) => (i * analyser.context.sampleRate) / analyser.fftSize;
  const near = (f) => Math.max(...[-2, -1, 0, 1, 2].map((d) => bins[Math.round((f * analyser.fftSize) / analyser.context.sampleRate) + d] ?? -Infinity));
  return { hz: hz(at + shift), db: b, leftDB: near(frequency), rightDB: right ? near(right) : 0 };
}

const finite = (x) => (Number.isFinite(x) ? x : -200);
const decibels = (power) => finite(10 * Math.log10(power));

async function listen(context, stream) {
  // Chromium gives WebAudio nothing of a remote track that no element plays.
  const element = new Audio();
  element.muted = true;
  element.srcObject = stream;
  element.play().catch(() => {});

  const input = context.createMediaStreamSource(stream);
  const splitter = context.createChannelSplitter(2);
  const analysers = [0, 1].map((channel) => {
    const analyser = context.createAnalyser();
    analyser.fftSize = fftSize;
    analyser.smoothingTimeConstant = 0;
    splitter.connect(analyser, channel);
    return analyser;
  });
  const gaps = new AudioWorkletNode(context, 'gaps', { numberOfOutputs: 1, processorOptions: { threshold: level / 20 } });
  input.connect(splitter);
  input.connect(gaps);
  const silent = context.createGain();
  silent.gain.value = 0;
  gaps.connect(silent).connect(context.destination);
  const ask = () => new Promise((resolve) => {
    gaps.port.onmessage = ({ data }) => resolve(data);
    gaps.port.postMessage('report');
  });
  return { element, analysers, ask, reset: () => gaps.port.postMessage('reset') };
}

async function stats(pc) {
  const found = {};
  const byId = await pc.getStats();
  byId.forEach((s) => { if (s.kind === undefined || s.kind === 'audio') found[s.type] = s; });
  const codecStats = byId.get(found['inbound-rtp']?.codecId) ?? found.codec ?? {};
  return { inbound: found['inbound-rtp'] ?? {}, outbound: found['outbound-rtp'] ?? {}, remote: found['remote-inbound-rtp'] ?? {}, codec: codecStats };
}

const counters = ['packetsReceived', 'packetsLost', 'packetsDiscarded', 'concealedSamples', 'silentConcealedSamples',
  'concealmentEvents', 'totalSamplesReceived', 'insertedSamplesForDeceleration', 'removedSamplesForAcceleration',
  'jitterBufferDelay', 'jitterBufferEmittedCount'];

async function run() {
  const context = new AudioContext();
  await within(5000, 'starting the AudioContext', context.resume());
  await context.audioWorklet.addModule('gaps.js');
  const { pc, connectMs, stream, offer, answer } = await connect(source(context));
  const ear = await listen(context, stream);

  const deadline = performance.now() + 10000;
  while (!(await ear.ask()).heard) {
    if (performance.now() > deadline) throw new Error('connected, but nothing was heard in 10 s');
    await wait(50);
  }
  await wait(settle * 1000);
  const before = await stats(pc);
  ear.reset();
  const begin = performance.now();
  await wait(seconds * 1000);

  const lines = ear.analysers.map(peak);
  const heard = await ear.ask();
  const elapsed = (performance.now() - begin) / 1000;
  const after = await stats(pc);
  const inbound = Object.fromEntries(counters.map((name) => [name, (after.inbound[name] ?? 0) - (before.inbound[name] ?? 0)]));
  const result = {
    connectMs,
    sampleRate: context.sampleRate,
    codec: after.codec.mimeType ?? '',
    codecLine: after.codec.sdpFmtpLine ?? '',
    channels: after.codec.channels ?? 0,
    peakHz: lines[0].hz,
    rightPeakHz: lines[1].hz,
    separationDB: right ? finite(Math.min(lines[0].leftDB - lines[0].rightDB, lines[1].rightDB - lines[1].leftDB)) : 0,
    levelDB: decibels(heard.power[0]),
    sentLevelDB: decibels((level * level) / 2),
    longestGapMs: heard.longestMs,
    longestSteadyGapMs: heard.longestSteadyMs,
    measuredSeconds: heard.seconds,
    clockRate: heard.seconds / elapsed,
    inbound,
    jitterSeconds: after.inbound.jitter ?? 0,
    packetsSent: after.outbound.packetsSent ?? 0,
    roundTripSeconds: after.remote.roundTripTime ?? 0,
    fractionLost: after.remote.fractionLost ?? 0,
    hasRemoteReport: after.remote.type !== undefined,
    offer,
    answer,
  };
  ear.element.srcObject = null;
  pc.close();
  return result;
}

let result;
try {
  result = await run();
} catch (err) {
  result = { error: `${err.name}: ${err.message}` };
}
result.userAgent = navigator.userAgent;
document.querySelector('#result').textContent = JSON.stringify(result, null, 2);
await post(param('result', 'result'), result);
