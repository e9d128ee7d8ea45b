import { Form, applications, wanted } from './apps.js';
import { codecs } from './devices.js';
import * as session from './session.js';
import { show } from './signal.js';
import { $, copying, log, setPhase, showTrouble, toggle } from './view.js';
import * as words from './words.js';

const { body } = document;
const options = new Form($('options'));
let listed = null; // settles when the applications are known
let apps = [];
let app = null; // the one that is chosen
const sources = { source: '', camera: '' }; // for applications that hear and see

function choose(chosen) {
  if (Boolean(app?.oneway) !== Boolean(chosen.oneway)) {
    for (const id of Object.keys(sources)) {
      if (chosen.oneway) sources[id] = $(id).value;
      $(id).value = chosen.oneway ? 'none' : sources[id];
    }
  }
  app = chosen;
  $('app').value = app.path;
  body.dataset.app = app.path;
  body.dataset.takes = app.media.join(' ');
  $('about').textContent = [app.about, app.media.length ? `Takes ${words.media(app.media)}.` : ''].join(' ');
  $('lines').value = Math.min(9, app.lines ?? 1);
  options.show(app, location.search);
  session.panel.show(app);
}

async function listApplications() {
  try {
    apps = await applications();
  } catch (trouble) {
    showTrouble(trouble);
    apps = [];
  }
  $('app').replaceChildren(...apps.map((a) => new Option(a.name, a.path)));
  $('start').disabled = apps.length === 0;
  if (apps.length) choose(wanted(apps, location));
}

$('start').addEventListener('click', async () => {
  if (session.busy()) return session.stop();
  await listed;
  if (app && !session.busy()) session.start(app, options.values());
});
$('app').addEventListener('change', () => {
  choose(apps.find((a) => a.path === $('app').value));
  history.replaceState(null, '', `#${app.path}`);
});
addEventListener('hashchange', () => { if (!session.busy() && apps.length) choose(wanted(apps, location)); });
$('token').addEventListener('change', () => {
  show($('token').value);
  showTrouble(null);
  if (!apps.length) listed = listApplications();
});
$('source').addEventListener('change', session.changeSound);
$('processing').addEventListener('change', session.changeSound);
$('camera').addEventListener('change', session.changePicture);
$('size').addEventListener('change', session.resizePicture);
$('video').addEventListener('click', session.togglePicture);
$('screen').addEventListener('click', session.toggleScreen);
toggle($('mute-out'), session.mute);
toggle($('mute-back'), session.deafen);
$('digits').addEventListener('click', ({ target }) => { if (target.value) session.dial(target.value); });
body.addEventListener('click', session.play);
copying();
navigator.mediaDevices?.addEventListener?.('devicechange', session.listDevices);
addEventListener('pagehide', session.stop);

if (!globalThis.RTCPeerConnection) {
  $('start').disabled = true;
  showTrouble(new words.Trouble('This browser cannot make calls', 'It has no WebRTC, or it is switched off. Try another browser.'));
} else {
  for (const [id, kind] of [['codec', 'audio'], ['video-codec', 'video']]) {
    $(id).append(...codecs(kind).map((m) => new Option(words.codecOption(m), m)));
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    $('source').value = 'tone';
    $('camera').value = 'test';
    log('At this address the browser gives no microphone and no camera; the test chime and the test picture work. Use https or localhost to speak.');
  }
  session.listDevices();
  setPhase('idle', false);
  listed = listApplications();
  await listed;
  body.dataset.ready = '';
}
