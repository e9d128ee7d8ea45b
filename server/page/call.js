import { Line } from './signal.js';
import { arrived } from './stats.js';
import * as words from './words.js';

const gatherMs = 1500;
const connectMs = 15000;
const statsMs = 500;
const restartMs = 2500;
const quietMs = 2500; // half of what the server waits
const crossedMs = 300;
const byeMs = 300;

// A Call is one peer connection from the offer to the end. It dispatches
//   state        any of the four states changed; see states()
//   description  the offer or the answer is there: detail {type, sdp}
//   sound        a line can be heard: detail is its track
//   picture      a line of video can be seen: detail {track, mid}
//   channel      the server opened a data channel: detail is the RTCDataChannel
//   digit        a digit was played: detail is that digit
//   stats        each half second: detail is the RTCStatsReport, see stats.js
//   note         detail is a sentence for the log
//   end          once; detail is the Trouble that ended it, or null
export class Call extends EventTarget {
  #pc;
  #line = new Line();
  #ended = false;
  #connected = false;
  #state = 'new'; // of the connection
  #timers = [];
  #recovery; // the timer of the next attempt
  #recovering = false;
  #arrived; // over all paths, and when it last grew
  #arrivedAt;
  #turn; // settles when no exchange of descriptions is under way
  #audio; // transceivers; undefined if the application does not take that
  #video;
  #videoCodec;
  #stream = new MediaStream(); // so that the far end knows what belongs together

  // media says what goes over the call:
  //   audio  {track, codec}, where null is a track that only comes back
  //   video  {track, codec, lines}, with so many lines to see others
  //   data   how the channel "chat" is, as for createDataChannel; undefined is none
  constructor(media, iceServers) {
    super();
    this.#pc = new RTCPeerConnection({ iceServers });
    const pc = this.#pc;
    if (media.audio) {
      this.#audio = this.#add('audio', media.audio.track, media.audio.codec);
      this.#audio.sender.dtmf?.addEventListener('tonechange', (e) => { if (e.tone) this.#emit('digit', e.tone); });
    }
    if (media.video) {
      this.#videoCodec = media.video.codec;
      this.#video = this.#add('video', media.video.track, this.#videoCodec);
      for (let n = 1; n < media.video.lines; n++) this.#add('video', null, this.#videoCodec);
    }
    if (media.data) this.chat = pc.createDataChannel('chat', media.data);
    for (const event of ['connectionstatechange', 'iceconnectionstatechange', 'icegatheringstatechange', 'signalingstatechange']) {
      pc.addEventListener(event, () => this.#onState());
    }
    pc.addEventListener('track', ({ track, transceiver }) => {
      if (track.kind === 'audio') this.#emit('sound', track);
      else this.#emit('picture', { track, mid: transceiver.mid });
    });
    pc.addEventListener('datachannel', (e) => this.#emit('channel', e.channel));
  }

  states() {
    const pc = this.#pc;
    return { connection: pc.connectionState, ice: pc.iceConnectionState, gathering: pc.iceGatheringState, signaling: pc.signalingState };
  }

  // start makes the call at the application's path.
  start(path, options) {
    this.#turn = this.#start(path, options).catch((err) => {
      if (!this.#ended) this.#end(words.explain(err));
    });
  }

  stop() { this.#end(null); }

  // setSound sends another track, or null for none.
  setSound(track) { return this.#replace(this.#audio, track); }

  // setPicture sends another track on the first line of video, or null for none.
  setPicture(track) { return this.#replace(this.#video, track); }

  // addPicture sends a track on a line of its own, which it returns.
  async addPicture(track) {
    const line = this.#add('video', track, this.#videoCodec);
    try {
      await this.#renegotiate();
    } catch (err) {
      line.stop();
      throw err;
    }
    return line;
  }

  // removePicture takes away a line of addPicture.
  removePicture(line) {
    line.stop();
    return this.#renegotiate();
  }

  // restart looks for another path to the server, as after a change of networks.
  restart() {
    this.#pc.restartIce();
    return this.#renegotiate({ moved: true });
  }

  // channel opens one more data channel.
  channel(label, init) { return this.#pc.createDataChannel(label, init); }

  get takesDigits() { return Boolean(this.#audio?.sender.dtmf?.canInsertDTMF); }

  // dial plays digits, as a telephone does (RFC 4733).
  dial(digits) {
    const { dtmf } = this.#audio.sender;
    dtmf.insertDTMF(dtmf.toneBuffer + digits, 160, 70);
  }

  #add(kind, track, codec) {
    const init = track ? { direction: 'sendrecv', streams: [this.#stream] } : { direction: 'recvonly' };
    const line = this.#pc.addTransceiver(track ?? kind, init);
    if (!codec) return line;
    const all = RTCRtpReceiver.getCapabilities(kind).codecs;
    const wanted = all.filter((c) => c.mimeType.toLowerCase() === codec.toLowerCase());
    const beside = all.filter((c) => /\/(telephone-event|rtx)$/i.test(c.mimeType));
    line.setCodecPreferences([...wanted, ...beside]);
    return line;
  }

  // replace leaves all as it was if the server does not take it.
  async #replace(line, track) {
    const { direction, sender: { track: before } } = line;
    await line.sender.replaceTrack(track);
    const wanted = track ? 'sendrecv' : 'recvonly';
    if (direction === wanted) return;
    line.direction = wanted;
    try {
      await this.#renegotiate();
    } catch (err) {
      line.direction = direction;
      await line.sender.replaceTrack(before);
      throw err;
    }
  }

  async #start(path, options) {
    const pc = this.#pc;
    let offered = false;
    pc.addEventListener('icecandidate', ({ candidate }) => { if (offered && candidate?.candidate) this.#line.tell(candidate); });
    await pc.setLocalDescription();
    const begin = performance.now();
    await this.#gathered();
    if (this.#ended) return;
    const { sdp, type } = pc.localDescription;
    offered = true;
    const paths = sdp.match(/^a=candidate:\S+ \d+ udp /gim)?.length ?? 0; // the server has no other
    if (!paths && pc.iceGatheringState === 'complete') throw words.noAddress();
    this.#emit('description', { type, sdp });
    this.#note(`Offer ready with ${paths} ${paths === 1 ? 'candidate' : 'candidates'} after ${Math.round(performance.now() - begin)} ms.`);

    const asked = performance.now();
    const answer = await this.#line.offer(path, { sdp, type }, options);
    if (this.#ended) return;
    this.#note(`The server answered in ${Math.round(performance.now() - asked)} ms.`);
    await this.#accept(answer);
    if (this.#ended) return;
    this.#line.listen((message) => this.#act(message));
    const transport = this.#transport();
    transport?.addEventListener('statechange', () => {
      if (transport.state === 'closed') this.#closed();
    });
    this.#timers.push(setTimeout(() => { if (!this.#connected) this.#end(words.slowPath(connectMs)); }, connectMs));
    this.#timers.push(setInterval(() => this.#poll(), statsMs));
  }

  async #accept(answer) {
    this.#emit('description', answer);
    try {
      await this.#pc.setRemoteDescription(answer);
    } catch (err) {
      throw words.badAnswer(err);
    }
    for (const { currentDirection, sender, receiver } of this.#pc.getTransceivers()) {
      const refused = currentDirection === 'inactive' || currentDirection === 'stopped';
      if (refused && sender.track && sender.track.readyState === 'live') this.#note(`The server does not take this ${receiver.track.kind === 'audio' ? 'sound' : 'picture'}. Another codec may help.`);
    }
  }

  // act does what the server says by itself: after what is under way, or at once if that
  // is goodbye. It throws what came of that.
  async #act(message) {
    if (message.type === 'bye') {
      this.#hungUp(message.reason ?? (this.#state === 'disconnected' ? 'disconnected' : undefined));
      return;
    }
    const done = this.#turn.then(async () => {
      if (this.#ended) return;
      if (message.type === 'offer') await this.#answer(message);
      else if (message.type === 'candidate') await this.#pc.addIceCandidate(message);
      else if (message.type === 'error') this.#note(`The server says: ${message.error}.`);
    });
    this.#turn = done.catch((err) => { if (!this.#ended) this.#note(`The server’s ${message.type} was of no use (${err.message}).`); });
    await done;
  }

  async #answer({ type, sdp }) {
    const pc = this.#pc;
    this.#note('The server changes the call.');
    this.#emit('description', { type, sdp });
    await pc.setRemoteDescription({ type, sdp });
    await pc.setLocalDescription();
    const answer = { type: 'answer', sdp: pc.localDescription.sdp };
    this.#emit('description', answer);
    await this.#line.answer(answer);
  }

  // renegotiate tells the server what has changed, one change after the other. An
  // offer that crosses one of the server waits for that.
  #renegotiate({ tries = 5, moved = false } = {}) {
    const changed = this.#turn.then(async () => {
      if (this.#ended) return;
      const pc = this.#pc;
      await pc.setLocalDescription();
      const { sdp, type } = pc.localDescription;
      this.#emit('description', { type, sdp });
      try {
        await this.#accept(await this.#line.change({ sdp, type }, moved));
      } catch (err) {
        if (this.#ended) return;
        if (pc.signalingState === 'have-local-offer') await pc.setLocalDescription({ type: 'rollback' });
        throw err;
      }
    });
    this.#turn = changed.catch(() => {});
    return changed.catch(async (err) => {
      if (err.status !== 409 || tries === 1) throw err;
      await new Promise((done) => { setTimeout(done, crossedMs); });
      return this.#renegotiate({ tries: tries - 1, moved });
    });
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

  // transport is what everything goes over.
  #transport() {
    const pc = this.#pc;
    return pc.getSenders().find((s) => s.transport)?.transport ?? pc.sctp?.transport;
  }

  #onState() {
    if (this.#ended) return;
    this.#emit('state');
    if (this.#pc.connectionState === this.#state) return; // another of the four has changed
    this.#state = this.#pc.connectionState;
    switch (this.#state) {
      case 'connected':
        this.#connected = true;
        break;
      case 'disconnected':
        this.#recoverLater();
        break;
      case 'failed':
        if (this.#transport()?.state === 'closed') this.#closed();
        else this.#end(this.#connected ? words.lost() : words.noPath());
        break;
      case 'closed':
        this.#hungUp();
        break;
    }
  }

  #recoverLater() {
    clearTimeout(this.#recovery);
    this.#recovery = setTimeout(() => { if (this.#state === 'disconnected') this.#recover(); }, restartMs);
  }

  // watch looks for another path when nothing comes any more, as after a change of networks:
  // browsers may take longer to be "disconnected" than the server waits.
  #watch(report) {
    const now = performance.now();
    const before = this.#arrived;
    this.#arrived = arrived(report);
    if (this.#state !== 'connected' || this.#arrived === undefined || this.#arrived !== before) {
      this.#arrivedAt = now;
    } else if (now - this.#arrivedAt >= quietMs) {
      this.#arrivedAt = now;
      this.#recover();
    }
  }

  // recover tries again until the path is back, the browser gives up, or the call has
  // ended at the server.
  async #recover() {
    if (this.#ended || this.#recovering) return;
    this.#note('Looking for another path to the server.');
    this.#recovering = true;
    try {
      await this.restart();
    } catch (err) {
      if (this.#ended) return;
      if (err.status === 404) {
        this.#end(words.lost(), false);
        return;
      }
      this.#note(`${words.explain(err).message}.`);
      this.#recoverLater();
    } finally {
      this.#recovering = false;
    }
  }

  // closed is for a call that is over at the server, which may still say why.
  #closed() { this.#timers.push(setTimeout(() => this.#hungUp(), byeMs)); }

  #hungUp(reason) {
    if (this.#ended) return;
    const trouble = words.endedBy(reason, this.#connected);
    if (!trouble) this.#note('The server ended the call.');
    this.#end(trouble, false);
  }

  async #poll() {
    try {
      const report = await this.#pc.getStats();
      if (this.#ended) return;
      this.#emit('stats', report);
      this.#watch(report);
    } catch { /* the connection was closed in between */ }
  }

  #end(trouble, goodbye = true) {
    if (this.#ended) return;
    this.#ended = true;
    this.#line.close(goodbye);
    this.#timers.forEach(clearTimeout);
    clearTimeout(this.#recovery);
    this.#pc.close();
    this.#emit('state');
    this.#emit('end', trouble);
  }

  #note(text) { this.#emit('note', text); }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
