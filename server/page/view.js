import { Spark } from './chart.js';
import * as words from './words.js';

export const $ = (id) => document.getElementById(id);
const { body } = document;

const phases = {
  idle: 'Ready', asking: 'Waiting for your devices', connecting: 'Connecting', connected: 'Connected',
  interrupted: 'Interrupted, waiting', ended: 'Call ended', failed: 'No call',
};

// setPhase says where the call is; busy, that there is one to be stopped.
export function setPhase(phase, busy) {
  body.dataset.phase = phase;
  $('phase').textContent = phases[phase];
  const talking = phase === 'connected' || phase === 'interrupted';
  $('start').textContent = busy ? (talking ? 'Stop' : 'Cancel') : phase === 'idle' ? 'Start' : 'Start again';
  $('start').classList.toggle('stop', busy);
  document.querySelectorAll('.before').forEach((e) => { e.disabled = busy; });
  document.querySelectorAll('.during').forEach((e) => { e.disabled = !talking; });
}

const began = performance.now();

// append adds a row to a list that forgets the oldest.
function append(list, text, kind) {
  const row = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = words.clock(performance.now() - began);
  row.className = kind;
  row.append(time, ' ', text);
  list.append(row);
  while (list.children.length > 200) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

export const log = (text, kind = '') => append($('log'), text, kind);
export const message = (text, kind) => append($('messages'), text, kind);

export function showTrouble(trouble) {
  $('error').hidden = !trouble;
  if (!trouble) return;
  $('error-title').textContent = trouble.message;
  $('error-advice').textContent = trouble.advice;
  $('error-detail').textContent = trouble.detail;
  if (trouble.status === 401) $('token-field').hidden = false;
  log(`${trouble.message}. ${trouble.advice}`, 'bad');
  $('error').scrollIntoView({ block: 'nearest' });
}

export function showStates(states) {
  for (const [name, value] of Object.entries(states)) {
    body.dataset[name] = value;
    const row = $(`state-${name}`);
    row.dataset.state = value;
    row.querySelector('dd').textContent = value.replaceAll('-', ' ');
  }
}

const sparks = Object.fromEntries(Object.entries({ rtt: 50, loss: 2, jitter: 20, buffer: 100, out: 100, back: 100, 'frames-out': 30, 'frames-back': 30 })
  .map(([name, floor]) => [name, new Spark($(`tile-${name}`).querySelector('canvas'), floor)]));

export function clearStats() {
  showStats({ audio: {}, video: {} });
  Object.values(sparks).forEach((s) => s.clear());
  delete body.dataset.codec;
  delete body.dataset.videoCodec;
  $('clock').textContent = '';
}

function tile(name, value, digits = 0) {
  $(`tile-${name}`).querySelector('b').textContent = value === undefined ? '–' : value.toFixed(digits);
  sparks[name].push(value);
}

const unit = (value, text, digits = 0) => (value === undefined ? '–' : `${value.toFixed(digits)} ${text}`);

export function showStats(s) {
  const fine = (value) => (value < 10 ? 1 : 0);
  tile('rtt', s.roundTrip, fine(s.roundTrip));
  tile('loss', s.loss, 1);
  tile('jitter', s.jitter, fine(s.jitter));
  tile('buffer', s.buffer);
  tile('out', s.rateOut);
  tile('back', s.rateBack);
  tile('frames-out', s.framesOut);
  tile('frames-back', s.framesBack);
  for (const [kind, prefix] of [['audio', ''], ['video', 'video-']]) {
    const l = s[kind];
    const text = {
      'codec-out': l.codecOut ?? '–',
      'codec-back': l.codecBack ?? '–',
      'packets-out': words.count(l.packetsOut),
      'packets-back': words.count(l.packetsBack),
      'lost-out': words.count(l.lostOut),
      'lost-back': words.count(l.lostBack),
      'rate-out': unit(l.rateOut, 'kbit/s'),
      'rate-back': unit(l.rateBack, 'kbit/s'),
    };
    for (const [id, value] of Object.entries(text)) $(prefix + id).textContent = value;
  }
  $('concealed').textContent = unit(s.audio.concealed, '%', 1);
  $('frames-decoded').textContent = words.count(s.video.frames);
  $('path').textContent = s.path ?? '–';
  showCodec('codec', s.audio);
  showCodec('videoCodec', s.video);
  $('codec-now').textContent = [s.audio.codecBack, s.video.codecBack].filter(Boolean).join(' · ');
}

function showCodec(name, { codecType, codecBack }) {
  if (!codecType || body.dataset[name] === codecType) return;
  body.dataset[name] = codecType;
  log(`The codec of ${name === 'codec' ? 'the sound' : 'the pictures'} is ${codecBack}.`);
}

// toggle makes a button that stays pressed.
export function toggle(button, apply) {
  button.addEventListener('click', () => {
    const pressed = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', pressed);
    apply(pressed);
  });
}

export const pressed = (id) => $(id).getAttribute('aria-pressed') === 'true';

// copying makes the buttons that copy the text after them.
export function copying() {
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
}
