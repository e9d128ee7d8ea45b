// Messages and files over data channels.

const chunk = 16384; // bytes of one message of a file, which every browser takes
const ahead = 1 << 20; // bytes that may wait to be sent

// A Reader gives out the messages of a channel one by one, and undefined when it
// has closed.
class Reader {
  #messages = [];
  #wake = () => {};
  #closed = false;

  constructor(channel) {
    channel.binaryType = 'arraybuffer';
    channel.addEventListener('message', (e) => { this.#messages.push(e.data); this.#wake(); });
    channel.addEventListener('close', () => { this.#closed = true; this.#wake(); });
  }

  async next() {
    while (!this.#messages.length && !this.#closed) await new Promise((done) => { this.#wake = done; });
    return this.#messages.shift();
  }
}

// once waits for an event of the channel, or its end.
function once(channel, type) {
  return new Promise((done) => {
    for (const t of [type, 'close', 'error']) channel.addEventListener(t, done, { once: true });
  });
}

async function send(channel, file, progress) {
  channel.bufferedAmountLowThreshold = ahead / 2;
  for (let at = 0; at < file.size; at += ahead) {
    const bytes = await file.slice(at, at + ahead).arrayBuffer();
    for (let i = 0; i < bytes.byteLength; i += chunk) {
      if (channel.readyState !== 'open') return;
      if (channel.bufferedAmount > ahead) await once(channel, 'bufferedamountlow');
      if (channel.readyState === 'open') channel.send(bytes.slice(i, i + chunk));
    }
    progress(Math.min(file.size, at + ahead));
  }
}

function header(text) {
  try {
    const head = JSON.parse(text);
    if (head.error || Number.isInteger(head.size)) return head;
  } catch { /* then it is something else */ }
  throw new Error('the application takes no files');
}

// receive returns the next file of a channel, or throws why there is none.
async function receive(reader, progress) {
  const text = await reader.next();
  if (text === undefined) throw new Error('the channel was closed');
  const head = header(text);
  if (head.error) throw new Error(head.error);
  const parts = [];
  for (let got = 0; got < head.size; progress(got)) {
    const part = await reader.next();
    if (!(part instanceof ArrayBuffer)) throw new Error(`only ${got} of ${head.size} bytes came back`);
    parts.push(part);
    got += part.byteLength;
  }
  return { head, blob: new Blob(parts) };
}

// hash returns the SHA-256 of a blob in hexadecimal digits, or "" where browsers
// do not do that, which is on pages that do not come by https.
async function hash(blob) {
  if (!globalThis.crypto?.subtle) return '';
  const sum = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
  return [...new Uint8Array(sum)].map((b) => b.toString(16).padStart(2, '0')).join('');
}

// exchange sends a file on a channel of its own and takes back what the server makes
// of it. It returns {name, blob, sum, verdict}, where the verdict is "same", "other"
// or "unknown". Progress is told in bytes of both ways, from 0 to twice the size.
export async function exchange(channel, file, progress) {
  const reader = new Reader(channel);
  try {
    if (channel.readyState === 'connecting') await once(channel, 'open');
    if (channel.readyState !== 'open') throw new Error('the channel was closed');
    channel.send(JSON.stringify({ name: file.name, size: file.size }));
    await send(channel, file, progress);
    const { head, blob } = await receive(reader, (n) => progress(file.size + n));
    const [before, after] = await Promise.all([hash(file), hash(blob)]);
    const same = before === after && (!head.sha256 || head.sha256 === after);
    return { name: head.name || file.name, blob, sum: head.sha256 || after, verdict: before === '' ? 'unknown' : same ? 'same' : 'other' };
  } finally {
    channel.close();
  }
}

// take receives files that the server sends by itself, until the channel ends.
export async function take(channel, got, progress) {
  const reader = new Reader(channel);
  for (;;) {
    const { head, blob } = await receive(reader, progress);
    const sum = await hash(blob);
    got({ name: head.name || 'file', blob, sum, verdict: !sum || !head.sha256 ? 'unknown' : sum === head.sha256 ? 'same' : 'other' });
  }
}
