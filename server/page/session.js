import { Call } from './call.js';
import { devices, offer } from './devices.js';
import { Levels } from './levels.js';
import { Panel } from './panel.js';
import { openPicture, resize } from './picture.js';
import { Screens } from './screens.js';
import * as signal from './signal.js';
import { openSound } from './source.js';
import { Stats } from './stats.js';
import { $, clearStats, log, pressed, setPhase, showStates, showStats, showTrouble } from './view.js';
import * as words from './words.js';

const { body } = document;
const levels = new Levels($('ribbon'), {
  out: { meter: $('out-meter'), value: $('out-value') },
  back: { meter: $('back-meter'), value: $('back-value') },
});
const screens = new Screens($('screens'), (n) => { body.dataset.videos = n; });
const reliability = { // of the data channel
  all: {}, unordered: { ordered: false }, once: { ordered: false, maxRetransmits: 0 }, soon: { ordered: false, maxPacketLifeTime: 500 },
};
const sayings = {
  connected: 'Connected.',
  disconnected: 'The path to the server is interrupted. Waiting for it to come back.',
};

export const panel = new Panel();

let context = null; // AudioContext, made by the first click: before it, none may run
let session = null; // the call in progress and what belongs to it
let newest = null; // the one that was last in progress

export const busy = () => session !== null;

class Gone extends Error {} // the person pressed Cancel meanwhile

// keep returns what a device gave, if it is still wanted.
function keep(mine, track) {
  if (session === mine) return track;
  track?.stop();
  throw new Gone();
}

// whenEnded calls act when a device takes its track away, also if it has by now.
function whenEnded(track, act) {
  if (track.readyState === 'ended') act();
  else track.addEventListener('ended', act);
}

// start calls an application.
export async function start(app, options) {
  showTrouble(null);
  context ??= globalThis.AudioContext ? new AudioContext() : null;
  context?.resume().catch(() => {});
  const mine = { app, call: null, sound: null, picture: null, screen: null, coming: null, changes: Promise.resolve(), connectedAt: 0, recording: '' };
  session = newest = mine;
  phase('asking');
  levels.start();
  clearStats();
  $('recording').hidden = true;
  try {
    const media = { data: app.media.includes('data') && reliability[$('reliability').value] };
    if (app.media.includes('audio')) {
      if ($('source').value === 'tone') log('Playing the test chime.');
      else if ($('source').value !== 'none') log('Asking for the microphone.');
      setSound(mine, keep(mine, await chosenSound()));
      media.audio = { track: mine.sound, codec: $('codec').value };
    }
    if (app.media.includes('video')) {
      setPicture(mine, keep(mine, await chosenPicture().catch(without)));
      media.video = { track: mine.picture, codec: $('video-codec').value, lines: Number($('lines').value) };
    }
    await listDevices();
    if (session !== mine) return;
    phase('connecting');
    const servers = await signal.list('ice-servers');
    if (session !== mine) return;
    mine.call = new Call(media, servers?.iceServers);
  } catch (err) {
    if (session === mine) finish(mine, words.explain(err));
    return;
  }
  follow(mine);
  if (app.recordings) mine.recording = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
  mine.call.start(app.path, mine.recording ? { ...options, recording: mine.recording } : options);
}

// stop ends the call, or what was to become one.
export function stop() {
  if (session?.call) session.call.stop();
  else if (session) finish(session, null);
}

const chosenSound = () => openSound($('source').value, $('processing').checked, context);
const chosenPicture = () => openPicture($('camera').value, $('size').value);

// without does without a camera that cannot be had: the rest of the call is worth
// something too.
function without(err) {
  const { message, advice, detail } = words.explain(err);
  log(`${message}${detail ? ` (${detail})` : ''}. The call goes on without a picture. ${advice}`, 'bad');
  return null;
}

function phase(name) {
  setPhase(name, busy());
  $('video').textContent = !session || session.picture ? 'Stop video' : 'Start video';
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
      phase('connected');
      $('digits').hidden = !call.takesDigits;
    } else if (connection === 'disconnected') {
      phase('interrupted');
    }
  });
  on('description', ({ type, sdp }) => { $(type).querySelector('pre').textContent = sdp; });
  const heard = new MediaStream();
  const listen = () => {
    $('speaker').srcObject = heard;
    $('speaker').play().catch(() => log('The browser does not play sound yet. Click anywhere on the page.', 'bad'));
    levels.hear('back', context, heard);
    body.dataset.sounds = heard.getAudioTracks().length;
  };
  on('sound', (track) => {
    heard.addTrack(track);
    track.addEventListener('ended', () => {
      heard.removeTrack(track);
      if (session === mine) listen();
    });
    listen();
  });
  on('picture', ({ track, mid }) => screens.add(track, `Line ${mid}`, false));
  on('digit', (digit) => log(`Digit ${digit} sent.`));
  on('note', (text) => log(text));
  on('stats', (report) => {
    const figures = stats.sample(report);
    showStats(figures);
    screens.update(figures.pictures, performance.now());
    if (mine.connectedAt) $('clock').textContent = words.clock(performance.now() - mine.connectedAt);
  });
  on('end', (trouble) => finish(mine, trouble));
  panel.use(call);
  showStates(call.states());
}

function finish(mine, trouble) {
  if (session !== mine) return;
  session = null;
  for (const track of [mine.sound, mine.picture, mine.screen?.track, mine.coming]) track?.stop();
  panel.leave();
  screens.clear();
  levels.stop();
  delete body.dataset.sounds;
  $('speaker').srcObject = null;
  $('digits').hidden = true;
  $('screen').setAttribute('aria-pressed', 'false');
  context?.suspend().catch(() => {});
  phase(trouble ? 'failed' : mine.connectedAt ? 'ended' : 'idle');
  if (trouble) showTrouble(trouble);
  else log('The call is over.');
  if (mine.recording && mine.connectedAt) showRecording(mine, mine.app.recordings + mine.recording);
}

// showRecording links the recording of a call once it is complete, unless there has
// been another call.
async function showRecording(mine, path) {
  for (let n = 0; n < 20; n++) {
    const there = await signal.exists(path);
    if (newest !== mine) return;
    if (there) {
      $('recording').href = path;
      $('recording').hidden = false;
      log('The recording can be downloaded.', 'good');
      return;
    }
    await new Promise((done) => { setTimeout(done, 250); });
  }
  log('There is no recording of this call.', 'bad');
}

function setSound(mine, track) {
  mine.sound?.stop();
  mine.sound = track;
  levels.hear('out', context, track && new MediaStream([track]));
  if (!track) return;
  track.enabled = !pressed('mute-out');
  if (track.label && !/^MediaStreamAudioDestinationNode$/.test(track.label)) log(`Microphone: ${track.label}.`);
  whenEnded(track, () => { if (session === mine && mine.sound === track) log('The microphone was taken away.', 'bad'); });
}

function setPicture(mine, track) {
  screens.remove(mine.picture);
  mine.picture?.stop();
  mine.picture = track;
  phase(body.dataset.phase);
  if (!track) return;
  screens.add(track, 'You', true);
  if (track.label && $('camera').value !== 'test') log(`Picture: ${track.label}.`);
  whenEnded(track, () => {
    if (session !== mine || mine.picture !== track) return;
    log('The picture was taken away.', 'bad');
    change(hidePicture);
  });
}

// change does something in the middle of a call, after what was asked for before.
function change(action) {
  const mine = session;
  if (!mine?.call) return;
  mine.changes = mine.changes.then(async () => {
    if (session !== mine) return;
    try {
      await action(mine);
      showTrouble(null);
    } catch (err) {
      if (session === mine) showTrouble(words.explain(err));
    }
  });
}

// using opens a track and uses it, or lets go of it again, as also if the call ends
// meanwhile. It returns the track.
async function using(mine, opening, use) {
  const track = keep(mine, await opening);
  mine.coming = track;
  try {
    await use(track);
    return keep(mine, track);
  } catch (err) {
    track?.stop();
    throw err;
  }
}

// These take what is chosen by then.

export const changeSound = () => change(async (mine) => {
  setSound(mine, await using(mine, chosenSound(), (track) => mine.call.setSound(track)));
  $('digits').hidden = !mine.call.takesDigits;
});

async function showPicture(mine) {
  const track = await using(mine, chosenPicture(), (t) => mine.call.setPicture(t));
  if (!track) log('The picture is off.');
  setPicture(mine, track);
}

async function hidePicture(mine) {
  await mine.call.setPicture(null);
  keep(mine, null);
  log('The picture is off.');
  setPicture(mine, null);
}

export const changePicture = () => change(showPicture);

// resizePicture changes the size where the picture comes from: a camera that is opened
// once more stays as small as it is.
export const resizePicture = () => change((mine) => {
  if (!mine.picture) return null;
  return $('camera').value === 'test' ? showPicture(mine) : resize(mine.picture, $('size').value);
});

export const togglePicture = () => change((mine) => {
  if (mine.picture) return hidePicture(mine);
  if ($('camera').value === 'none') $('camera').value = navigator.mediaDevices?.getUserMedia ? '' : 'test';
  return showPicture(mine);
});

export const toggleScreen = () => change((mine) => (mine.screen ? unshare(mine) : share(mine)));

async function share(mine) {
  let line;
  const track = await using(mine, openPicture('screen', ''), async (t) => {
    screens.add(t, 'Your screen', true);
    try {
      line = await mine.call.addPicture(t);
    } catch (err) {
      screens.remove(t);
      throw err;
    }
  });
  mine.screen = { track, line };
  $('screen').setAttribute('aria-pressed', 'true');
  log(`The screen is shared on line ${line.mid}.`);
  whenEnded(track, () => change(unshare));
}

async function unshare(mine) {
  const { screen } = mine;
  if (!screen) return;
  mine.screen = null;
  $('screen').setAttribute('aria-pressed', 'false');
  screen.track.stop();
  screens.remove(screen.track);
  screens.remove(screen.line.receiver.track);
  log('The screen is not shared any more.');
  await mine.call.removePicture(screen.line);
}

export function mute(muted) {
  if (session?.sound) session.sound.enabled = !muted;
  log(muted ? 'Microphone muted.' : 'Microphone on.');
}

export function deafen(muted) {
  $('speaker').muted = muted;
  log(muted ? 'Speaker muted.' : 'Speaker on.');
}

export function dial(digit) { session?.call?.dial(digit); }

// play tries again what the browser may have refused before a click.
export function play() {
  if ($('speaker').srcObject) $('speaker').play().catch(() => {});
  screens.play();
}

export async function listDevices() {
  offer($('source'), await devices('audioinput'));
  offer($('camera'), await devices('videoinput'));
}
