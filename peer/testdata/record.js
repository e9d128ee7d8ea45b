'use strict';

// The page's end of recorded calls: studios, where it flashes and beeps each
// second at the same time, and calls that show them. Times are milliseconds of
// the computer's clock. What is not here is in internal/browser/testdata/peer.js.
const studios = {}, calls = {}; // by name

// How late the page was each 50 ms, and how far its audio is behind the clock.
const strains = [];
setInterval(() => {
  strains.push({ at: clock(), behind: context ? clock() - context.currentTime * 1000 : 0 });
  if (strains.length > 4000) strains.shift();
}, 50);

// strained returns by how much the page, or its audio, has not kept to the clock.
function strained(since) {
  const all = strains.filter((s) => s.at >= since && s.behind);
  let late = 0, least = Infinity, most = -Infinity;
  all.forEach((s, i) => {
    if (i) late = Math.max(late, s.at - all[i - 1].at - 50);
    least = Math.min(least, s.behind);
    most = Math.max(most, s.behind);
  });
  return Math.max(late, most - least);
}

// studio makes a dark picture with a bar that moves, and a low hum.
async function studio(name, { width = 160, height = 120, hum = 300, pitch = 1000 } = {}) {
  await sound();
  clearInterval(studios[name]?.timer);
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  const beep = new GainNode(context, { gain: 0 });
  const osc = (frequency) => { const o = new OscillatorNode(context, { frequency }); o.start(); return o; };
  osc(hum).connect(new GainNode(context, { gain: 0.05 })).connect(out);
  osc(pitch).connect(beep).connect(out);
  const picture = canvas.captureStream(0).getVideoTracks()[0];
  const s = studios[name] = { canvas, paint: canvas.getContext('2d'), out, beep, number: 0, until: 0, flashes: [], picture, sound: out.stream.getAudioTracks()[0] };
  let next = clock() + 500;
  s.timer = setInterval(() => {
    if (clock() >= next) {
      next += 1000;
      s.until = clock() + 180;
      s.flashes.push(clock());
      const now = context.currentTime;
      beep.gain.setValueAtTime(0.5, now);
      beep.gain.setValueAtTime(0, now + 0.15);
    }
    film(s);
  }, 50);
  return '';
}

function film(s) {
  const { canvas, paint } = s;
  paint.fillStyle = clock() < s.until ? '#fff' : '#222';
  paint.fillRect(0, 0, canvas.width, canvas.height);
  paint.fillStyle = '#484';
  paint.fillRect((s.number++ * 4) % canvas.width, canvas.height * 0.8, canvas.width / 10, canvas.height / 10);
  s.picture.requestFrame();
}

const flashes = (name) => JSON.stringify(studios[name].flashes);

function resizeStudio(name, width, height) {
  Object.assign(studios[name].canvas, { width, height });
  film(studios[name]);
  return clock();
}

// shoot makes a call that shows a studio, and offers.
async function shoot(name, from, { video, audio = 'opus' } = {}) {
  const pc = new RTCPeerConnection();
  const c = calls[name] = { pc };
  c.sound = pc.addTransceiver(studios[from].sound, { direction: 'sendrecv' });
  force(c.sound, 'audio', audio);
  if (video) show(name, from, video);
  return offerOf(name);
}

// show adds the picture of a studio.
function show(name, from, codec) {
  const t = calls[name].pc.addTransceiver(studios[from].picture, { direction: 'sendrecv' });
  t.sender.track.contentHint = 'motion';
  force(t, 'video', codec);
  calls[name].picture ??= t;
  return '';
}

async function offerOf(name) {
  const { pc } = calls[name];
  await pc.setLocalDescription(await pc.createOffer());
  for (const end = clock() + 1500; pc.iceGatheringState !== 'complete' && clock() < end;) await sleep(10);
  return pc.localDescription.sdp;
}

function restartOf(name) {
  calls[name].pc.restartIce();
  return offerOf(name);
}

async function acceptOf(name, sdp) {
  const { pc } = calls[name];
  await pc.setRemoteDescription({ type: 'answer', sdp });
  await until(`${name} is connected`, 20000, () => pc.connectionState === 'connected');
  return clock();
}

// cut sends nothing from now on, or another studio.
async function cut(name, to) {
  const { sound, picture } = calls[name];
  await Promise.all([
    picture?.sender.replaceTrack(to ? studios[to].picture : null),
    sound.sender.replaceTrack(to ? studios[to].sound : null),
  ]);
  return clock();
}

function mute(from, on) {
  studios[from].sound.enabled = !on;
  studios[from].picture.enabled = !on;
  return clock();
}

// sent returns the packets of audio that were sent.
async function sent(name) {
  let n = 0;
  (await calls[name].sound.sender.getStats()).forEach((s) => { if (s.type === 'outbound-rtp') n = s.packetsSent; });
  return n;
}

function leave(name) {
  calls[name].pc.close();
  return clock();
}

// fellSilent returns when a call was heard last, less by what the browser waits for
// late packets, once something was heard and 300 ms of silence since.
async function fellSilent(name) {
  await sound();
  const { receiver } = calls[name].sound;
  const stream = new MediaStream([receiver.track]);
  const element = new Audio();
  element.muted = true;
  element.srcObject = stream;
  element.play().catch(() => {});
  const near = new AnalyserNode(context, { fftSize: 256 });
  context.createMediaStreamSource(stream).connect(near);
  const wave = new Float32Array(near.fftSize);
  const waited = async () => {
    let s = { jitterBufferDelay: 0, jitterBufferEmittedCount: 0 };
    (await receiver.getStats()).forEach((x) => { if (x.type === 'inbound-rtp') s = x; });
    return s;
  };
  const before = await waited();
  let last = 0;
  for (const end = clock() + 25000; !last || clock() - last < 300; await sleep(2)) {
    if (clock() > end) throw new Error('never silent');
    near.getFloatTimeDomainData(wave);
    if (wave.some((x) => Math.abs(x) > 0.02)) last = clock();
  }
  const after = await waited();
  const delay = 1000 * (after.jitterBufferDelay - before.jitterBufferDelay) / (after.jitterBufferEmittedCount - before.jitterBufferEmittedCount);
  return last - delay;
}
