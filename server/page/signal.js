import * as words from './words.js';

const patience = 15000; // ms for an answer of the server
const againMs = 2000; // after which it is asked again
const anotherMs = 700; // after which a new connection is asked beside an old one
let token = ''; // what the server wants to see, if it asks for one

// show gives the token to all requests from now on.
export function show(text) { token = text.trim(); }

const address = (path) => new URL(path, document.baseURI);

function ask(method, url, { body, signal, keepalive } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers['Content-Type'] = 'application/json';
  return fetch(url, { method, headers, signal, keepalive, body: body && JSON.stringify(body) });
}

// send asks for something, and throws a Trouble if it is not given.
async function send(method, url, body, signal) {
  let response;
  const abort = new AbortController(); // browsers of 2023 have no AbortSignal.any
  setTimeout(() => abort.abort(new DOMException('no answer in time', 'TimeoutError')), patience);
  if (signal?.aborted) abort.abort();
  signal?.addEventListener('abort', () => abort.abort());
  try {
    response = await ask(method, url, { body, signal: abort.signal });
  } catch (err) {
    throw words.unreachable(err);
  }
  if (!response.ok) throw await words.refusal(response);
  return response;
}

async function description(response) {
  let answer;
  try {
    answer = await response.json();
  } catch (err) {
    throw words.badAnswer(err);
  }
  if (answer?.type !== 'answer' || typeof answer.sdp !== 'string') throw words.badAnswer(new Error('no {sdp, type: "answer"} in it'));
  return { type: answer.type, sdp: answer.sdp };
}

// list returns what the server has at path, or undefined if it has no such thing.
export async function list(path) {
  try {
    return await (await send('GET', address(path))).json();
  } catch (err) {
    if (err.status === 401) throw err;
    return undefined;
  }
}

// exists reports whether the server has something at path by now.
export async function exists(path) {
  try {
    return (await ask('HEAD', address(path))).ok;
  } catch {
    return false;
  }
}

// A Line to the server is about one call.
export class Line {
  #url = null; // of the call, once there is one
  #late = []; // addresses that wait for it
  #abort = new AbortController();
  #socket = null; // open, or to be
  #act = null; // on its messages

  get #open() { return this.#socket?.readyState === 1; }

  // offer asks the application at path for a call. The options go with it. If this is
  // closed meanwhile, the answer is waited for all the same, to end the call there.
  async offer(path, offer, options) {
    const response = await send('POST', address(path), { ...options, ...offer });
    const location = response.headers.get('Location');
    if (location) this.#url = new URL(location, response.url);
    if (this.#abort.signal.aborted) this.close(true);
    this.#late.forEach((candidate) => this.tell(candidate));
    return description(response);
  }

  // change asks for another answer in the middle of the call. If the network may have
  // changed, connections may be of the one before, where nothing comes back, and the
  // browser not know: then a new one is asked too, and the first answer counts.
  async change(offer, moved) {
    if (!this.#url) throw words.fixed();
    try {
      const answer = send('PATCH', this.#url, offer, this.#abort.signal).then(description);
      return await (moved && this.#socket ? this.#either(answer, offer) : answer);
    } catch (err) {
      throw err.status === 404 ? Object.assign(words.over(), { status: 404 }) : err;
    }
  }

  // either returns answer, or what comes before it over another socket, which always is a
  // new connection. A request may get any of the old ones, of which there are up to six.
  #either(answer, offer) {
    return new Promise((resolve, reject) => {
      const later = setTimeout(() => {
        this.#socket.close();
        const socket = this.listen(this.#act);
        socket?.addEventListener('open', () => socket.send(JSON.stringify(offer)));
        socket?.addEventListener('message', ({ data }) => {
          const { type, sdp } = JSON.parse(data);
          if (type === 'answer') resolve({ type, sdp });
        });
      }, anotherMs);
      answer.finally(() => clearTimeout(later)).then(resolve, reject);
    });
  }

  // answer answers an offer of the server.
  async answer(answer) {
    if (this.#open) this.#socket.send(JSON.stringify(answer));
    else await send('PATCH', this.#url, answer, this.#abort.signal);
  }

  // tell passes on an address that was found after the offer had gone.
  tell(candidate) {
    if (!this.#url) this.#late.push(candidate);
    else if (this.#open) this.#socket.send(JSON.stringify({ type: 'candidate', ...candidate.toJSON() }));
    else ask('PATCH', this.#url, { body: candidate }).catch(() => {});
  }

  // listen gives act each message of the server about the call: {type: "offer", sdp},
  // {type: "candidate", …}, {type: "error", error}, or {type: "bye", reason}. They come
  // over a WebSocket; where none gets through, the server is asked for its offers again
  // and again, and later if act throws.
  listen(act) {
    if (!this.#url || this.#abort.signal.aborted) return undefined;
    this.#act = act;
    const url = this.#below('ws');
    url.protocol = url.protocol.replace('http', 'ws');
    if (token) url.searchParams.set('access_token', token);
    let opened = false;
    let socket;
    try {
      socket = new WebSocket(url);
    } catch {
      this.#poll(act);
      return undefined;
    }
    this.#socket = socket;
    socket.addEventListener('open', () => { opened = true; });
    socket.addEventListener('message', ({ data }) => act(JSON.parse(data)).catch(() => {}));
    socket.addEventListener('close', ({ code }) => {
      if (code === 1000 || this.#abort.signal.aborted) return; // the call has ended
      if (socket !== this.#socket) return; // another has taken its place
      if (opened) setTimeout(() => this.listen(act), againMs);
      else this.#poll(act);
    });
    return socket;
  }

  async #poll(act) {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const response = await ask('GET', this.#below('offer'), { signal });
        if (response.status === 200) await act(await response.json());
        else if (response.status === 404) await act({ type: 'bye' }); // it is over, which closes this line
        else if (response.status === 405) return; // the server makes none
        else if (!response.ok) throw new Error(response.status);
      } catch {
        await new Promise((done) => { setTimeout(done, againMs); });
      }
    }
  }

  #below(name) {
    const url = new URL(this.#url);
    url.pathname += `/${name}`;
    return url;
  }

  // close waits for no answer any more, and says goodbye if the call may go on there.
  close(goodbye) {
    this.#abort.abort();
    this.#socket?.close();
    if (goodbye && this.#url) ask('DELETE', this.#url, { keepalive: true }).catch(() => {});
  }
}
