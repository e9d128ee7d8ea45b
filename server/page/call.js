import * as words from './words.js';

const gatherMs = 1500;
const answerMs = 15000;
const connectMs = 15000;
const statsMs = 500;

// A Call is one peer connection from the offer to the end. It dispatches
//   state        any of the four states changed; see states()
//   description  the offer or the answer is there: detail {type, sdp}
//   stream       what comes back: detail is the MediaStream
//   stats        each half second: detail is the RTCStatsReport, see stats.js
//   note         detail is a sentence for the log
//   end          once; detail is the Trouble that ended it, or null
export class Call extends EventTarget {
  #pc = new RTCPeerConnection();
  #abort = new AbortController();
  #ended = false;
  #connected = false;
  #timers = [];

  constructor(stream, codec) {
    super();
    const [track] = stream.getAudioTracks();
    this.transceiver = this.#pc.addTransceiver(track, { direction: 'sendrecv', streams: [stream] });
    if (codec) this.#force(codec);
    const state = () => this.#onState();
    for (const event of ['connectionstatechange', 'iceconnectionstatechange', 'icegatheringstatechange', 'signalingstatechange']) {
      this.#pc.addEventListener(event, state);
    }
    this.#pc.addEventListener('track', (e) => this.#emit('stream', e.streams[0] ?? new MediaStream([e.track])));
  }

  states() {
    const pc = this.#pc;
    return { connection: pc.connectionState, ice: pc.iceConnectionState, gathering: pc.iceGatheringState, signaling: pc.signalingState };
  }

  async start() {
    try {
      await this.#start();
    } catch (err) {
      if (!this.#ended) this.#end(words.explain(err));
    }
  }

  stop() { this.#end(null); }

  replaceTrack(track) { return this.transceiver.sender.replaceTrack(track); }

  async #start() {
    const pc = this.#pc;
    await pc.setLocalDescription();
    const begin = performance.now();
    await this.#gathered();
    if (this.#ended) return;
    const { sdp, type } = pc.localDescription;
    const paths = sdp.match(/^a=candidate:/gm)?.length ?? 0;
    this.#emit('description', { type, sdp });
    this.#note(`Offer ready with ${paths} ${paths === 1 ? 'candidate' : 'candidates'} after ${Math.round(performance.now() - begin)} ms.`);

    const answer = await this.#post({ sdp, type });
    if (this.#ended) return;
    this.#emit('description', answer);
    try {
      await pc.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
    } catch (err) {
      throw words.badAnswer(err);
    }
    if (this.#ended) return;
    const transport = this.transceiver.sender.transport;
    transport?.addEventListener('statechange', () => {
      if (transport.state === 'closed') this.#hungUp();
    });
    this.#timers.push(setTimeout(() => { if (!this.#connected) this.#end(words.slowPath(connectMs)); }, connectMs));
    this.#timers.push(setInterval(() => this.#poll(), statsMs));
  }

  #force(mimeType) {
    const all = RTCRtpReceiver.getCapabilities('audio').codecs;
    const wanted = all.filter((c) => c.mimeType.toLowerCase() === mimeType.toLowerCase());
    const digits = all.filter((c) => /\/telephone-event$/i.test(c.mimeType));
    this.transceiver.setCodecPreferences([...wanted, ...digits]);
  }

  #gathered() {
    const pc = this.#pc;
    return new Promise((resolve) => {
      const look = () => { if (pc.iceGatheringState === 'complete') resolve(); };
      pc.addEventListener('icegatheringstatechange', look);
      this.#timers.push(setTimeout(resolve, gatherMs));
      look();
    });
  }

  async #post(offer) {
    const begin = performance.now();
    let response;
    try {
      response = await fetch(new URL('offer', document.baseURI), {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(offer),
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(answerMs)]),
      });
    } catch (err) {
      throw words.unreachable(err);
    }
    if (!response.ok) throw await words.refusal(response);
    let answer;
    try {
      answer = await response.json();
    } catch (err) {
      throw words.badAnswer(err);
    }
    if (answer?.type !== 'answer' || typeof answer.sdp !== 'string') throw words.badAnswer(new Error('no {sdp, type: "answer"} in it'));
    this.#note(`The server answered in ${Math.round(performance.now() - begin)} ms.`);
    return answer;
  }

  #onState() {
    if (this.#ended) return;
    this.#emit('state');
    switch (this.#pc.connectionState) {
      case 'connected':
        this.#connected = true;
        break;
      case 'failed':
        if (this.transceiver.sender.transport?.state === 'closed') this.#hungUp();
        else this.#end(this.#connected ? words.lost() : words.noPath());
        break;
      case 'closed':
        this.#hungUp();
        break;
    }
  }

  #hungUp() {
    if (this.#ended) return;
    this.#note('The server ended the call.');
    this.#end(null);
  }

  async #poll() {
    try {
      const report = await this.#pc.getStats();
      if (!this.#ended) this.#emit('stats', report);
    } catch { /* the connection was closed in between */ }
  }

  #end(trouble) {
    if (this.#ended) return;
    this.#ended = true;
    this.#abort.abort();
    this.#timers.forEach(clearTimeout);
    this.#pc.close();
    this.#emit('state');
    this.#emit('end', trouble);
  }

  #note(text) { this.#emit('note', text); }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
