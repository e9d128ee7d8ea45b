// Trouble is an error that a person can act on: what happened, and what to do.
export class Trouble extends Error {
  constructor(title, advice, detail = '') {
    super(title);
    this.name = 'Trouble';
    this.advice = advice;
    this.detail = detail;
  }
}

const chime = 'or choose the test chime, which needs no microphone.';

const capture = {
  NotAllowedError: ['The microphone was not allowed', `Allow it for this page in the browser’s address bar and press Start again, ${chime}`],
  SecurityError: ['The microphone was not allowed', `The browser forbids it on this page. Open the page by https or at localhost, ${chime}`],
  NotFoundError: ['No microphone was found', `Plug one in and press Start again, ${chime}`],
  OverconstrainedError: ['That microphone is gone', `Choose another one, ${chime}`],
  NotReadableError: ['The microphone does not answer', `Another program may be using it. Close that and press Start again, ${chime}`],
  AbortError: ['The microphone does not answer', `Press Start again, ${chime}`],
};

export function insecure() {
  return new Trouble('No microphone at this address',
    `Browsers give the microphone only to pages from https and from localhost. Open this page in one of these ways, ${chime}`);
}

export function captureTrouble(err) {
  const [title, advice] = capture[err.name] ?? ['The microphone could not be opened', `Press Start again, ${chime}`];
  return new Trouble(title, advice, err.message);
}

// refusal says why the server did not take the offer.
export async function refusal(response) {
  let said = '';
  try {
    const text = await response.text();
    try { said = JSON.parse(text).error ?? ''; } catch { said = text.length < 200 ? text.trim() : ''; }
  } catch { /* the status alone has to do */ }
  const detail = `${said ? `The server says: ${said} ` : ''}(HTTP ${response.status})`;
  const { status } = response;
  if (status === 404 || status === 405) return new Trouble('There is no call service here', 'The server of this page takes no offers at this address.', detail);
  if (status === 401 || status === 403) return new Trouble('The server does not let you in', 'It wants to know who is calling.', detail);
  if (status === 429 || status === 503) return new Trouble('The server takes no more calls now', 'Try again in a moment.', detail);
  if (status < 500) return new Trouble('The server refused the call', 'It did not accept this offer. Another codec may help.', detail);
  return new Trouble('The server failed', 'The mistake is on its side; its log has more.', detail);
}

export function unreachable(err) {
  if (err.name === 'TimeoutError') return new Trouble('The server took too long to answer', 'Try again in a moment.');
  return new Trouble('The server cannot be reached', 'Is it still running, and are you online?', err.message);
}

export const badAnswer = (err) => new Trouble('The browser could not use the server’s answer', 'The two do not agree on how to talk; the descriptions below show both sides.', err.message);
export const noPath = () => new Trouble('No path to the server was found', 'Voice travels by UDP, which a firewall between you and the server may block.');
export const lost = () => new Trouble('The connection was lost', 'Nothing came through any more. Press Start to call again.');
export const slowPath = (ms) => new Trouble('The call did not connect', `The server answered, but no path for voice came up in ${ms / 1000} seconds. A firewall may block UDP.`);

export function explain(err) {
  return err instanceof Trouble ? err : new Trouble('Something went wrong', 'Reload the page and try again.', `${err.name}: ${err.message}`);
}

const codecs = {
  opus: 'Opus', g722: 'G.722', pcmu: 'PCMU', pcma: 'PCMA',
};
const explained = {
  opus: 'full band, 48 kHz', g722: 'wide band, 16 kHz', pcmu: 'telephone, G.711 µ-law', pcma: 'telephone, G.711 A-law',
};
const subtype = (mimeType) => mimeType.replace(/^audio\//i, '');

export function codecName(mimeType) {
  return codecs[subtype(mimeType).toLowerCase()] ?? subtype(mimeType);
}

export function codecOption(mimeType) {
  const more = explained[subtype(mimeType).toLowerCase()];
  return more ? `${codecName(mimeType)} – ${more}` : codecName(mimeType);
}

export const count = (n) => (n === undefined ? '–' : n.toLocaleString('en').replaceAll(',', '\u202f'));

export function clock(ms) {
  const s = Math.floor(ms / 1000);
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}
