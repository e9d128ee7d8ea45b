'use strict';

// The words in which a test speaks to the page: one peer connection, tones and
// numbered pictures to send, and ears and eyes for what comes back. Times are
// milliseconds of the computer's clock.
let pc;
let began = 0; // when the connection was made
let connectedAt = 0;
let agreedAt = 0; // when descriptions were exchanged last
let candidates, channels; // queues
let negotiations = 0; // times that the browser wanted to offer
let context;
const cameras = {}; // by name
const eyes = {}; // by mid
const ears = {}; // by mid

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const clock = () => performance.timeOrigin + performance.now();

function queue() {
  const items = [], waiting = [];
  return {
    put: (x) => (waiting.length ? waiting.shift()(x) : items.push(x)),
    next: () => (items.length ? Promise.resolve(items.shift()) : new Promise((done) => waiting.push(done))),
  };
}

// until polls, since a condition may depend on several events.
async function until(what, within, done) {
  for (const end = clock() + within; !(await done()); await sleep(10)) {
    if (clock() > end) throw new Error(`not within ${within} ms: ${what}`);
  }
}

// start makes a new connection in the place of the one before.
function start(configuration) {
  stop();
  pc = new RTCPeerConnection(configuration);
  began = clock();
  connectedAt = 0;
  candidates = queue();
  channels = queue();
  negotiations = 0;
  pc.onicecandidate = (e) => candidates.put(e.candidate);
  pc.ondatachannel = (e) => channels.put(listen(e.channel));
  pc.onnegotiationneeded = () => { negotiations++; };
  const mine = pc;
  pc.onconnectionstatechange = () => {
    if (mine === pc && mine.connectionState === 'connected' && !connectedAt) connectedAt = clock();
  };
  return '';
}

function stop() {
  pc?.close();
  for (const [name, c] of Object.entries(cameras)) {
    clearInterval(c.timer);
    delete cameras[name];
  }
  for (const [mid, e] of Object.entries(eyes)) {
    e.video.srcObject = null;
    e.video.remove();
    delete eyes[mid];
  }
  for (const [mid, e] of Object.entries(ears)) {
    e.element.srcObject = null;
    e.input.disconnect();
    delete ears[mid];
  }
  return '';
}

// Signalling. The test carries the descriptions.

async function offer(patience = 1500) {
  await pc.setLocalDescription(await pc.createOffer());
  return described(patience);
}

async function described(patience) {
  for (const end = clock() + patience; pc.iceGatheringState !== 'complete' && clock() < end;) await sleep(10);
  return pc.localDescription.sdp;
}

async function accept(sdp) {
  await pc.setRemoteDescription({ type: 'answer', sdp });
  agreedAt = clock();
  return '';
}

// answer answers an offer of the server, also one that crosses our own, which is
// then taken back.
async function answer(sdp, patience = 1500) {
  await pc.setRemoteDescription({ type: 'offer', sdp });
  await pc.setLocalDescription();
  agreedAt = clock();
  return described(patience);
}

const candidate = async () => JSON.stringify(await candidates.next());

async function add(found) {
  await pc.addIceCandidate(found);
  return '';
}

// connected returns how long the connection took.
async function connected() {
  await until('connected', 15000, () => {
    if (pc.connectionState === 'failed') throw new Error('connection failed');
    return connectedAt;
  });
  return connectedAt - began;
}

const lines = () => JSON.stringify(pc.getTransceivers().map((t) => ({ mid: t.mid, direction: t.direction, current: t.currentDirection })));
const transceiver = (mid) => pc.getTransceivers().find((t) => t.mid === String(mid));

function force(t, kind, codec) {
  const wanted = RTCRtpReceiver.getCapabilities(kind).codecs.filter((c) => c.mimeType.toLowerCase() === `${kind}/${codec}`.toLowerCase());
  if (!wanted.length) throw new Error(`this browser has no ${codec}`);
  t.setCodecPreferences(wanted);
}

// Sound.

async function sound() {
  context ??= new AudioContext();
  await context.resume();
  await (context.ready ??= context.audioWorklet.addModule('gaps.js'));
  return context;
}

async function toneTrack(hz) {
  await sound();
  const oscillator = new OscillatorNode(context, { frequency: hz });
  const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  oscillator.connect(new GainNode(context, { gain: 0.25 })).connect(out);
  oscillator.start();
  return out.stream.getAudioTracks()[0];
}

async function tone(hz, { direction = 'sendrecv', codec } = {}) {
  const t = pc.addTransceiver(direction === 'recvonly' ? 'audio' : await toneTrack(hz), { direction });
  if (codec) force(t, 'audio', codec);
  return '';
}

// answerTone is tone on the line that the server is about to offer, as a page has it that
// is called.
async function answerTone(hz) {
  pc.addTrack(await toneTrack(hz));
  return '';
}

async function ear(mid) {
  await sound();
  mid = String(mid);
  if (ears[mid]) return ears[mid];
  const stream = new MediaStream([transceiver(mid).receiver.track]);
  // Chromium gives WebAudio nothing of a remote track that no element plays.
  const element = new Audio();
  element.muted = true;
  element.srcObject = stream;
  element.play().catch(() => {});
  const input = context.createMediaStreamSource(stream);
  const analyser = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 });
  const near = new AnalyserNode(context, { fftSize: 512 });
  const gaps = new AudioWorkletNode(context, 'gaps', { processorOptions: { threshold: 0.0125 } });
  input.connect(analyser);
  input.connect(near);
  input.connect(gaps).connect(new GainNode(context, { gain: 0 })).connect(context.destination);
  return (ears[mid] = { element, input, analyser, near, gaps });
}

// frequency returns the strongest line in what is heard, in Hz, or 0 in silence.
async function frequency(mid) {
  const { analyser } = await ear(mid);
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  let at = 1;
  for (let i = 2; i < bins.length; i++) if (bins[i] > bins[at]) at = i;
  return bins[at] < -60 ? 0 : (at * context.sampleRate) / analyser.fftSize;
}

// hears waits until the tone is heard, by nothing but what came since the last exchange
// of descriptions.
async function hears(mid, hz, within = 8000) {
  let last = 0;
  const { analyser } = await ear(mid);
  await sleep(Math.max(0, agreedAt + (1000 * analyser.fftSize) / context.sampleRate - clock()));
  await until(`${hz} Hz on ${mid}`, within, async () => Math.abs((last = await frequency(mid)) - hz) < 8)
    .catch((err) => { throw new Error(`${err.message}, but ${last} Hz`); });
  return last;
}

// loud waits for any sound and returns when it was.
async function loud(mid, within = 8000) {
  const { near } = await ear(mid);
  const wave = new Float32Array(near.fftSize);
  let at;
  for (const end = clock() + within; ; await sleep(2)) {
    at = clock();
    near.getFloatTimeDomainData(wave);
    if (wave.some((x) => Math.abs(x) > 0.02)) return at;
    if (at > end) throw new Error(`nothing heard in ${within} ms`);
  }
}

// gap returns the longest silence since the one before was asked for, in ms.
async function gap(mid) {
  const { gaps } = await ear(mid);
  const report = new Promise((done) => { gaps.port.onmessage = ({ data }) => done(data); });
  gaps.port.postMessage('report');
  gaps.port.postMessage('reset');
  return (await report).longestSteadyMs;
}

// Pictures: sixteen columns of a bar code, of which three say which camera it is
// and thirteen count, above the same in negative.

const columns = 16;

function draw(c) {
  const { canvas, paint } = c;
  const n = c.id << 13 | ++c.number;
  c.drawn.set(c.number, clock());
  for (let i = 0; i < columns; i++) {
    const lit = n >> i & 1;
    const left = Math.round((i * canvas.width) / columns), right = Math.round(((i + 1) * canvas.width) / columns);
    paint.fillStyle = lit ? '#fff' : '#000';
    paint.fillRect(left, 0, right - left, canvas.height / 2);
    paint.fillStyle = lit ? '#000' : '#fff';
    paint.fillRect(left, canvas.height / 2, right - left, canvas.height / 2);
  }
}

function cameraTrack(name, id, width = 320, height = 240) {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const c = { canvas, paint: canvas.getContext('2d'), id, number: 0, drawn: new Map() };
  cameras[name] = c;
  draw(c);
  c.timer = setInterval(() => draw(c), 50);
  return (c.track = canvas.captureStream(20).getVideoTracks()[0]);
}

// camera adds a picture that is numbered and has the number id, 0 to 7. With a mode,
// as 'L2T2', it is coded in layers.
function camera(name, id, { direction = 'sendrecv', codec, add = 'transceiver', mode, width, height } = {}) {
  const track = direction === 'recvonly' ? 'video' : cameraTrack(name, id, width, height);
  let t;
  if (add === 'track') {
    const sender = pc.addTrack(track, new MediaStream([track]));
    t = pc.getTransceivers().find((x) => x.sender === sender);
  } else {
    t = pc.addTransceiver(track, { direction, ...(mode && { sendEncodings: [{ scalabilityMode: mode, maxBitrate: 2e6 }] }) });
  }
  if (codec) force(t, 'video', codec);
  return '';
}

// replace sends another picture in the place of the one on the line.
async function replace(mid, name, id) {
  await transceiver(mid).sender.replaceTrack(cameraTrack(name, id));
  return '';
}

function remove(mid) {
  transceiver(mid).stop();
  return '';
}

function turn(mid, direction) {
  transceiver(mid).direction = direction;
  return '';
}

const turned = (mid) => transceiver(mid).currentDirection;

// sending returns the line on which the camera is sent.
const sending = (name) => pc.getTransceivers().find((t) => t.sender.track === cameras[name].track).mid;

function resize(name, width, height) {
  Object.assign(cameras[name].canvas, { width, height });
  draw(cameras[name]);
  return '';
}

const reading = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
const readingContext = reading.getContext('2d', { willReadFrequently: true });

// decode returns the number in a picture, or -1.
function decode(video) {
  readingContext.clearRect(0, 0, 320, 240); // a video without a picture draws nothing
  readingContext.drawImage(video, 0, 0, 320, 240);
  const upper = readingContext.getImageData(0, 60, 320, 1).data, lower = readingContext.getImageData(0, 180, 320, 1).data;
  let n = 0;
  for (let i = 0; i < columns; i++) {
    const at = 4 * (i * 20 + 10) + 1;
    if ((upper[at] > 128) === (lower[at] > 128)) return -1;
    if (upper[at] > 128) n |= 1 << i;
  }
  return n;
}

// eye looks at a line from now on.
function eye(mid) {
  mid = String(mid);
  if (eyes[mid]) return '';
  const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, playsInline: true });
  const e = { video, frames: 0, bad: 0, back: 0, first: 0, last: -1, firstAt: 0, lastAt: 0, ids: {}, sizes: {}, delays: [], pause: 0, backs: [] };
  eyes[mid] = e;
  const look = (_, meta) => {
    if (eyes[mid] !== e) return;
    video.requestVideoFrameCallback(look);
    const at = clock(), n = decode(video);
    if (n < 0) { e.bad++; return; }
    const id = n >> 13, number = n & 0x1fff;
    e.frames++;
    e.firstAt ||= at;
    e.first ||= number;
    if (number < e.last) {
      e.back++;
      e.backs.push(`${e.last} at ${e.time}, ${number} at ${meta.rtpTimestamp}`);
    }
    e.time = meta.rtpTimestamp;
    if (e.lastAt) e.pause = Math.max(e.pause, at - e.lastAt);
    e.last = number;
    e.lastAt = at;
    e.ids[id] = (e.ids[id] ?? 0) + 1;
    const size = `${video.videoWidth}x${video.videoHeight}`;
    e.sizes[size] ||= at;
    e.size = size;
    const drawn = Object.values(cameras).find((c) => c.id === id)?.drawn.get(number);
    if (drawn) e.delays.push(at - drawn);
  };
  video.requestVideoFrameCallback(look);
  video.srcObject = new MediaStream([transceiver(mid).receiver.track]);
  document.body.append(video);
  video.play().catch(() => {});
  return '';
}

// seen says what the eye has seen, since the eye before was asked for if fresh.
function seen(mid, fresh) {
  const e = eyes[String(mid)];
  const delays = e.delays.toSorted((a, b) => a - b);
  const { frames, bad, back, first, last, firstAt, lastAt, size, sizes, pause, backs } = e;
  const result = { frames, bad, back, first, last, firstAt, lastAt, size, sizes, pause, backs,
    ids: Object.keys(e.ids).map(Number), delay: delays[delays.length >> 1] ?? 0, connectedAt };
  if (fresh) Object.assign(e, { frames: 0, bad: 0, back: 0, first: 0, last: -1, firstAt: 0, ids: {}, sizes: {}, delays: [], pause: 0, backs: [] });
  return JSON.stringify(result);
}

// sees waits until so many good pictures have been seen.
async function sees(mid, count, within = 15000) {
  eye(mid);
  await until(`${count} pictures on ${mid}`, within, () => eyes[String(mid)].frames >= count)
    .catch((err) => { throw new Error(`${err.message}, but ${seen(mid)}`); });
  return seen(mid);
}

// sized waits until pictures of that size have been seen, and returns when.
async function sized(mid, size, within = 10000) {
  const { sizes } = eyes[String(mid)];
  await until(`pictures of ${size}`, within, () => sizes[size]);
  return sizes[size];
}

// stats returns the counters by the line.
async function stats() {
  const all = await pc.getStats();
  const result = {};
  all.forEach((s) => {
    if (s.type !== 'inbound-rtp' && s.type !== 'outbound-rtp') return;
    (result[s.mid ?? s.kind] ??= {})[s.type.replace('-rtp', '')] = {
      codec: all.get(s.codecId)?.mimeType ?? '', ssrc: s.ssrc, active: s.active ?? true,
      packetsSent: s.packetsSent, packetsReceived: s.packetsReceived, packetsLost: s.packetsLost,
      framesDecoded: s.framesDecoded, framesEncoded: s.framesEncoded, keyFramesEncoded: s.keyFramesEncoded,
      pliCount: s.pliCount, firCount: s.firCount, nackCount: s.nackCount, freezeCount: s.freezeCount,
    };
  });
  return JSON.stringify(result);
}

// Channels.

function listen(ch) {
  ch.binaryType = 'arraybuffer';
  const got = queue();
  ch.onmessage = (e) => got.put(e.data);
  ch.onclose = () => got.put(null);
  ch.next = got.next;
  ch.opened = ch.readyState === 'open' ? Promise.resolve() : new Promise((done) => { ch.onopen = done; });
  return ch;
}

async function channel(label, init) {
  const ch = listen(pc.createDataChannel(label, init));
  window[label] = ch;
  return '';
}

// ask sends a text on the channel of a label and returns what comes back.
async function ask(label, text) {
  await window[label].opened;
  window[label].send(text);
  return window[label].next();
}

// talk echoes on the next channel of the server.
async function talk() {
  const ch = await channels.next();
  (async () => { for (let m; (m = await ch.next()) !== null;) ch.send(m); })();
  return ch.label;
}
