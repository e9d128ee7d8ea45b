// Trouble is an error that a person can act on: what happened, and what to do.
export class Trouble extends Error {
  constructor(title, advice, detail = '') {
    super(title);
    this.name = 'Trouble';
    this.advice = advice;
    this.detail = detail;
  }
}

const otherwise = {
  microphone: 'or choose the test chime, which needs no microphone.',
  camera: 'or choose the test picture, which needs no camera.',
};

const capture = {
  NotAllowedError: ['The % was not allowed', 'Allow it for this page in the browser’s address bar and press Start again,'],
  SecurityError: ['The % was not allowed', 'The browser forbids it on this page. Open the page by https or at localhost,'],
  NotFoundError: ['No % was found', 'Plug one in and press Start again,'],
  OverconstrainedError: ['That % is gone', 'Choose another one,'],
  NotReadableError: ['The % does not answer', 'Another program may be using it. Close that and press Start again,'],
  AbortError: ['The % does not answer', 'Press Start again,'],
};

// insecure and captureTrouble are about a device, "microphone" or "camera".
export function insecure(device) {
  return new Trouble(`No ${device} at this address`,
    `Browsers give the ${device} only to pages from https and from localhost. Open this page in one of these ways, ${otherwise[device]}`);
}

export function captureTrouble(err, device) {
  const [title, advice] = capture[err.name] ?? ['The % could not be opened', 'Press Start again,'];
  return new Trouble(title.replace('%', device), `${advice} ${otherwise[device]}`, err.message);
}

function meaning(status) {
  if (status === 401) return ['The server does not let you in', 'It wants to see a token. Enter the one that you were given, and try again.'];
  if (status === 403) return ['The server does not let you in', 'What you showed it is not enough.'];
  if (status === 404 || status === 405) return ['There is no call service here', 'The server of this page takes no offers at this address.'];
  if (status === 429 || status === 503) return ['The server takes no more calls now', 'Try again in a moment.'];
  if (status < 500) return ['The server refused the call', 'It did not accept this offer. Another codec may help.'];
  return ['The server failed', 'The mistake is on its side; its log has more.'];
}

// refusal says why the server did not take the offer; its status is that of HTTP.
export async function refusal(response) {
  const { status } = response;
  let said = '';
  try {
    const text = await response.text();
    try { said = JSON.parse(text).error ?? ''; } catch { said = text.length < 200 ? text.trim() : ''; }
  } catch { /* the status alone has to do */ }
  const [title, advice] = meaning(status);
  return Object.assign(new Trouble(title, advice, `${said ? `The server says: ${said} ` : ''}(HTTP ${status})`), { status });
}

export function unreachable(err) {
  if (err.name === 'TimeoutError') return new Trouble('The server took too long to answer', 'Try again in a moment.');
  return new Trouble('The server cannot be reached', 'Is it still running, and are you online?', err.message);
}

export const over = () => new Trouble('The server knows nothing of this call any more', 'It has ended there. Press Stop, and call again.');
export const fixed = () => new Trouble('The call cannot be changed', 'This server takes one offer for each call.');
export const badAnswer = (err) => new Trouble('The browser could not use the server’s answer', 'The two do not agree on how to talk; the descriptions below show both sides.', err.message);
export const noPath = () => new Trouble('No path to the server was found', 'Voice travels by UDP, which a firewall between you and the server may block.');
export const noAddress = () => new Trouble('The browser has no address for a call', 'It is offline, or a setting or an extension keeps it from UDP, by which voice travels.');
export const lost = () => new Trouble('The connection was lost', 'Nothing came through any more. Press Start to call again.');
export const slowPath = (ms) => new Trouble('The call did not connect', `The server answered, but no path for voice came up in ${ms / 1000} seconds. A firewall may block UDP.`);

const reasons = { // that the server has for the end of a call
  failed: 'The application failed. The log of the server has more.',
  panic: 'The application failed. The log of the server has more.',
  canceled: 'It is going away.',
  'time-up': 'It has lasted as long as a call may.',
  disconnected: 'The connection was lost.',
  'no-media': 'Nothing came from this page.',
  silence: 'Nothing came from this page any more.',
};

// endedBy says why the server ended a call, or returns null if nothing is wrong with that.
export function endedBy(reason, connected) {
  if (reason === 'not-connected') return noPath();
  const why = Object.hasOwn(reasons, reason) ? reasons[reason] : connected ? '' : 'It did so before the call was connected.';
  return why ? new Trouble('The server ended the call', why) : null;
}

export function explain(err) {
  return err instanceof Trouble ? err : new Trouble('Something went wrong', 'Reload the page and try again.', `${err.name}: ${err.message}`);
}

const codecs = {
  opus: 'Opus', g722: 'G.722', pcmu: 'PCMU', pcma: 'PCMA', h264: 'H.264', h265: 'H.265',
};
const explained = {
  opus: 'full band, 48 kHz', g722: 'wide band, 16 kHz', pcmu: 'telephone, G.711 µ-law', pcma: 'telephone, G.711 A-law',
};
const subtype = (mimeType) => mimeType.replace(/^.*\//, '');

export function codecName(mimeType) {
  return codecs[subtype(mimeType).toLowerCase()] ?? subtype(mimeType);
}

export function codecOption(mimeType) {
  const more = explained[subtype(mimeType).toLowerCase()];
  return more ? `${codecName(mimeType)} – ${more}` : codecName(mimeType);
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

const kinds = { audio: 'sound', video: 'pictures', data: 'messages' };

// media says in words what an application makes use of.
export function media(names) {
  const found = names.map((n) => kinds[n] ?? n);
  if (found.length < 2) return found.join('');
  return `${found.slice(0, -1).join(', ')} and ${found.at(-1)}`;
}

export const count = (n) => (n === undefined ? '–' : n.toLocaleString('en').replaceAll(',', '\u202f'));

export function clock(ms) {
  const s = Math.floor(ms / 1000);
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}
