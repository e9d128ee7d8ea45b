import { Call } from './call.js';
import { Ribbon, Spark, calm } from './chart.js';
import { Level, codecs, microphones, openSource } from './source.js';
import { Stats } from './stats.js';
import * as words from './words.js';

const $ = (id) => document.getElementById(id);
const { body } = document;

const phases = {
  idle: 'Ready', asking: 'Waiting for the microphone', connecting: 'Connecting', connected: 'Connected',
  interrupted: 'Interrupted, waiting', ended: 'Call ended', failed: 'No call',
};
const sayings = {
  connected: 'Connected. What you send comes back.',
  disconnected: 'The path to the server is interrupted. Waiting for it to come back.',
};

const ribbon = new Ribbon($('ribbon'));
const sparks = Object.fromEntries(Object.entries({ rtt: 50, loss: 2, jitter: 20, buffer: 100 })
  .map(([name, floor]) => [name, new Spark($(`tile-${name}`).querySelector('canvas'), floor)]));

let context = null; // AudioContext, made by the first click: before it, none may run
let session = null; // the call in progress and what belongs to it

function setPhase(phase) {
  body.dataset.phase = phase;
  $('phase').textContent = phases[phase];
  const busy = session !== null;
  $('start').textContent = !busy ? (phase === 'idle' ? 'Start' : 'Start again') : phase === 'connected' || phase === 'interrupted' ? 'Stop' : 'Cancel';
  $('start').classList.toggle('stop', busy);
  $('codec').disabled = busy;
  $('processing').disabled = busy;
  $('mute-out').disabled = !busy;
}

const began = performance.now();
function log(text, kind = '') {
  const row = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = words.clock(performance.now() - began);
  row.className = kind;
  row.append(time, ' ', text);
  const list = $('log');
  list.append(row);
  while (list.children.length > 200) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

function showTrouble(trouble) {
  $('error').hidden = !trouble;
  if (!trouble) return;
  $('error-title').textContent = trouble.message;
  $('error-advice').textContent = trouble.advice;
  $('error-detail').textContent = trouble.detail;
  log(`${trouble.message}. ${trouble.advice}`, 'bad');
  $('error').scrollIntoView({ block: 'nearest' });
}

function showStates(states) {
  for (const [name, value] of Object.entries(states)) {
    body.dataset[name] = value;
    const row = $(`state-${name}`);
    row.dataset.state = value;
    row.querySelector('dd').textContent = value.replaceAll('-', ' ');
  }
}

function showStats(s) {
  const tile = (name, value, digits) => {
    $(`tile-${name}`).querySelector('b').textContent = value === undefined ? '–' : value.toFixed(digits);
    sparks[name].push(value);
  };
  const digits = (value) => (value < 10 ? 1 : 0);
  tile('rtt', s.roundTrip, digits(s.roundTrip));
  tile('loss', s.loss, 1);
  tile('jitter', s.jitter, digits(s.jitter));
  tile('buffer', s.buffer, 0);
  const kbit = (rate) => (rate === undefined ? '–' : `${Math.round(rate)} kbit/s`);
  const text = {
    'codec-out': s.codecOut ?? '–',
    'codec-back': s.codecBack ?? '–',
    'packets-out': words.count(s.packetsOut),
    'packets-back': words.count(s.packetsBack),
    'lost-out': words.count(s.lostOut),
    'lost-back': words.count(s.lostBack),
    'rate-out': kbit(s.rateOut),
    'rate-back': kbit(s.rateBack),
    concealed: s.concealed === undefined ? '–' : `${s.concealed.toFixed(1)} %`,
    path: s.path ?? '–',
  };
  for (const [id, value] of Object.entries(text)) $(id).textContent = value;
  if (s.codecType && body.dataset.codec !== s.codecType) {
    body.dataset.codec = s.codecType;
    $('codec-now').textContent = s.codecBack;
    log(`The codec is ${s.codecBack}.`);
  }
}

function showLevel(name, db) {
  $(`${name}-meter`).firstChild.style.transform = `scaleX(${((db + 60) / 60).toFixed(3)})`;
}

function sayLevel(name, db) {
  const silent = db <= -60;
  const value = Math.round(db);
  $(`${name}-value`).textContent = silent ? 'silent' : `−${-value} dB`;
  $(`${name}-meter`).setAttribute('aria-valuenow', value);
  $(`${name}-meter`).setAttribute('aria-valuetext', silent ? 'silent' : `${value} decibels`);
}

function level(stream) {
  try {
    return context && new Level(context, stream);
  } catch {
    return null; // the call works without meters
  }
}

// What the meters show falls by 24 dB a second, so that an eye can follow.
const held = { at: 0, out: -60, back: -60, textAt: 0 };

function frame(now) {
  if (!session) return;
  requestAnimationFrame(frame);
  const out = session.out?.decibels() ?? -60;
  const back = session.back?.decibels() ?? -60;
  ribbon.push(now, out, back);
  const fall = 0.024 * Math.min(1000, now - held.at);
  held.at = now;
  held.out = Math.max(out, held.out - fall);
  held.back = Math.max(back, held.back - fall);
  const late = now - held.textAt >= 250;
  if (late || !calm.matches) {
    showLevel('out', held.out);
    showLevel('back', held.back);
  }
  if (!late) return;
  held.textAt = now;
  sayLevel('out', held.out);
  sayLevel('back', held.back);
  $('clock').textContent = session.connectedAt ? words.clock(now - session.connectedAt) : '';
}

async function start() {
  showTrouble(null);
  context ??= globalThis.AudioContext ? new AudioContext() : null;
  context?.resume().catch(() => {});
  const mine = { call: null, stream: null, out: null, back: null, connectedAt: 0, phase: 'idle' };
  session = mine;
  const choice = $('source').value;
  setPhase('asking');
  ribbon.clear();
  Object.values(sparks).forEach((s) => s.clear());
  delete body.dataset.codec;
  $('codec-now').textContent = '';
  log(choice === 'tone' ? 'Playing the test chime.' : 'Asking for the microphone.');
  requestAnimationFrame(frame);
  try {
    const stream = await openSource(choice, $('processing').checked, context);
    if (session !== mine) return stopTracks(stream);
    useStream(mine, stream);
    await listMicrophones();
    if (session !== mine) return;
    setPhase('connecting');
    mine.call = new Call(stream, $('codec').value);
  } catch (err) {
    if (session === mine) finish(mine, words.explain(err));
    return;
  }
  follow(mine);
  mine.call.start();
}

function follow(mine) {
  const { call } = mine;
  const stats = new Stats();
  let connection = '';
  const on = (type, f) => call.addEventListener(type, (e) => f(e.detail));
  on('state', () => {
    const states = call.states();
    showStates(states);
    if (states.connection === connection || session !== mine) return;
    connection = states.connection;
    if (sayings[connection]) log(sayings[connection], connection === 'connected' ? 'good' : 'bad');
    if (connection === 'connected') {
      mine.connectedAt ||= performance.now();
      setPhase('connected');
    } else if (connection === 'disconnected') {
      setPhase('interrupted');
    }
  });
  on('description', ({ type, sdp }) => { $(type).querySelector('pre').textContent = sdp; });
  on('stream', (stream) => {
    $('speaker').srcObject = stream;
    $('speaker').play().catch(() => log('The browser does not play sound yet. Click anywhere on the page.', 'bad'));
    mine.back = level(stream);
  });
  on('note', (text) => log(text));
  on('stats', (report) => showStats(stats.sample(report)));
  on('end', (trouble) => finish(mine, trouble));
  showStates(call.states());
}

function finish(mine, trouble) {
  if (session !== mine) return;
  session = null;
  stopTracks(mine.stream);
  mine.out?.close();
  mine.back?.close();
  $('speaker').srcObject = null;
  for (const name of ['out', 'back']) {
    showLevel(name, -60);
    sayLevel(name, -60);
    held[name] = -60;
  }
  context?.suspend().catch(() => {});
  setPhase(trouble ? 'failed' : mine.connectedAt ? 'ended' : 'idle');
  if (trouble) showTrouble(trouble);
  else log('The call is over.');
}

function stop() {
  const mine = session;
  if (mine.call) mine.call.stop();
  else finish(mine, null);
}

function stopTracks(stream) { stream?.getTracks().forEach((t) => t.stop()); }

function useStream(mine, stream) {
  const [track] = stream.getAudioTracks();
  track.enabled = $('mute-out').getAttribute('aria-pressed') !== 'true';
  stopTracks(mine.stream);
  mine.out?.close();
  mine.stream = stream;
  mine.out = level(stream);
  if (track.label && !/^MediaStreamAudioDestinationNode$/.test(track.label)) log(`Microphone: ${track.label}.`);
  track.addEventListener('ended', () => { if (session === mine && mine.stream === stream) log('The microphone was taken away.', 'bad'); });
}

// A new choice of what to send takes effect in the middle of a call.
async function changeSource() {
  const mine = session;
  if (!mine?.call) return;
  try {
    const stream = await openSource($('source').value, $('processing').checked, context);
    if (session !== mine) return stopTracks(stream);
    await mine.call.replaceTrack(stream.getAudioTracks()[0]);
    useStream(mine, stream);
    showTrouble(null);
  } catch (err) {
    showTrouble(words.explain(err));
  }
}

async function listMicrophones() {
  const found = await microphones();
  const list = $('source');
  const chosen = list.value;
  const [first, ...rest] = list.options;
  rest.forEach((o) => o.remove());
  list.append(...found.map((d) => new Option(d.label, d.deviceId)), rest.at(-1));
  list.value = [...list.options].some((o) => o.value === chosen) ? chosen : first.value;
}

function toggle(button, apply) {
  button.addEventListener('click', () => {
    const pressed = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', pressed);
    apply(pressed);
  });
}

$('start').addEventListener('click', () => (session ? stop() : start()));
$('source').addEventListener('change', changeSource);
toggle($('mute-out'), (muted) => {
  session?.stream?.getAudioTracks().forEach((t) => { t.enabled = !muted; });
  log(muted ? 'Microphone muted.' : 'Microphone on.');
});
toggle($('mute-back'), (muted) => {
  $('speaker').muted = muted;
  log(muted ? 'Speaker muted.' : 'Speaker on.');
});
body.addEventListener('click', () => { if ($('speaker').srcObject) $('speaker').play().catch(() => {}); });
document.querySelectorAll('.copy').forEach((button) => {
  button.addEventListener('click', async () => {
    const pre = button.nextElementSibling;
    try {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(pre);
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
});
navigator.mediaDevices?.addEventListener?.('devicechange', listMicrophones);
addEventListener('pagehide', () => session?.call?.stop());

if (!globalThis.RTCPeerConnection) {
  $('start').disabled = true;
  showTrouble(new words.Trouble('This browser cannot make calls', 'It has no WebRTC, or it is switched off. Try another browser.'));
} else {
  $('codec').append(...codecs().map((m) => new Option(words.codecOption(m), m)));
  listMicrophones();
  if (!navigator.mediaDevices?.getUserMedia) {
    $('source').value = 'tone';
    log('At this address the browser gives no microphone; the test chime works. Use https or localhost to speak.');
  }
}
