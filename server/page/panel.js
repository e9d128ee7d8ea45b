import { exchange, take } from './channel.js';
import { $, log, message } from './view.js';
import * as words from './words.js';

const verdicts = {
  same: 'the same as before', other: 'not what was sent', unknown: 'not compared, since pages without https cannot',
};

// A Panel is where the data channel of a call is used.
export class Panel {
  #call = null;

  constructor() {
    $('ping').addEventListener('click', () => this.#ping());
    $('say').addEventListener('submit', (e) => {
      e.preventDefault();
      if (this.#say($('message').value)) $('message').value = '';
    });
    $('file').addEventListener('change', (e) => {
      const [file] = e.target.files;
      if (file && this.#call) this.#send(this.#call, file);
      e.target.value = '';
    });
  }

  // show is for an application: it may have messages that it understands.
  show({ messages = [] }) {
    $('phrases').replaceChildren(...messages.map((text) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'during';
      button.textContent = text;
      button.disabled = !this.#call;
      button.addEventListener('click', () => this.#say(text));
      return button;
    }));
  }

  // use is for a call from its beginning to its end.
  use(call) {
    this.#call = call;
    $('pong').textContent = '–';
    $('messages').replaceChildren();
    $('files').replaceChildren();
    delete document.body.dataset.pong;
    if (call.chat) this.#follow(call, call.chat);
    call.addEventListener('channel', ({ detail: channel }) => {
      log(`The server opened the channel “${channel.label}”.`);
      if (channel.protocol === 'file') this.#receive(channel);
      else this.#follow(call, channel);
    });
  }

  leave() { this.#call = null; }

  #follow(call, channel) {
    const state = (text) => { if (channel === call.chat) $('channel-state').textContent = text; };
    const open = () => { state('open'); log(`The channel “${channel.label}” is open.`); };
    if (channel.readyState === 'open') open();
    else channel.addEventListener('open', open);
    channel.addEventListener('close', () => state('closed'));
    channel.addEventListener('message', ({ data }) => this.#hear(data));
  }

  #hear(data) {
    if (typeof data !== 'string') {
      message(`Received ${words.size(data.byteLength ?? data.size)}.`, 'back');
      return;
    }
    const sent = data.match(/^pong (\d+\.\d+)$/)?.[1];
    if (sent) {
      const took = performance.now() - sent;
      $('pong').textContent = `${took.toFixed(1)} ms`;
      document.body.dataset.pong = took.toFixed(1);
      return;
    }
    message(data, 'back');
  }

  // ping sends the time, which comes back with the answer.
  #ping() { this.#write(`ping ${performance.now().toFixed(2)}`); }

  #say(text) {
    if (!text || !this.#write(text)) return false;
    message(text, 'out');
    return true;
  }

  #write(text) {
    const channel = this.#call?.chat;
    if (channel?.readyState !== 'open') {
      log('The data channel is not open.', 'bad');
      return false;
    }
    channel.send(text);
    return true;
  }

  async #send(call, file) {
    const row = new Row(file.name);
    log(`Sending ${file.name}, ${words.size(file.size)}.`);
    const begin = performance.now();
    try {
      const got = await exchange(call.channel(file.name, { protocol: 'file' }), file, (n) => row.progress(n, 2 * file.size));
      row.done(got, `there and back in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    } catch (err) {
      row.failed(`The file did not come back: ${err.message}.`);
    }
  }

  async #receive(channel) {
    let row = new Row(channel.label);
    try {
      await take(channel, (got) => { row.done(got, 'from the server'); row = new Row(channel.label); }, (n) => row.progress(n));
    } catch {
      row.remove(); // the channel has ended, and with it the files
    }
  }
}

// A Row shows what becomes of one file.
class Row {
  constructor(name) {
    this.name = name;
    this.element = document.createElement('li');
    this.bar = document.createElement('progress');
    this.bar.setAttribute('aria-label', name);
    this.text = document.createElement('span');
    this.text.textContent = name;
    this.element.append(this.text, this.bar);
    $('files').append(this.element);
  }

  progress(n, all) {
    if (!all) return;
    this.bar.max = all;
    this.bar.value = n;
    this.text.textContent = `${this.name}, ${Math.floor((100 * n) / all)} %`;
  }

  done({ name, blob, sum, verdict }, how) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.textContent = name;
    const detail = document.createElement('small');
    if (sum) detail.textContent = `SHA-256 ${sum}`;
    this.bar.remove();
    this.element.dataset.verdict = verdict;
    this.text.replaceChildren(link, `, ${words.size(blob.size)}, ${how}: ${verdicts[verdict]}.`);
    this.element.append(detail);
    log(`${name} is here, ${verdicts[verdict]}.`, verdict === 'other' ? 'bad' : 'good');
  }

  failed(why) {
    this.bar.remove();
    this.text.textContent = `${this.name}: ${why}`;
    this.element.dataset.verdict = 'failed';
    log(why, 'bad');
  }

  remove() { this.element.remove(); }
}
