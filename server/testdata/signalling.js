// What pages do to call a server of this project. Each function returns what it
// saw, as JSON.

const later = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(what, ok) {
  for (const end = performance.now() + 8000; performance.now() < end; await later(20)) {
    const value = await ok();
    if (value) return value;
  }
  throw new Error(`not within 8 s: ${what}`);
}

async function received(pc, kind) {
  for (const report of (await pc.getStats()).values()) {
    if (report.type === 'inbound-rtp' && report.kind === kind) return report.packetsReceived;
  }
  return 0;
}

async function more(pc, kind) {
  const before = await received(pc, kind);
  return until(`more ${kind}`, async () => await received(pc, kind) > before + 20);
}

async function request(method, url, body) {
  const response = await fetch(url, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
  return response;
}

// A call without a candidate in either description, which gets video and a new
// way through the network while it goes on.
async function trickle() {
  const begin = performance.now();
  const seen = { ours: 0, theirs: 0 };
  const pc = new RTCPeerConnection();
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  const [camera] = stream.getVideoTracks();
  pc.addTrack(stream.getAudioTracks()[0], stream);
  let called;
  const location = new Promise((found) => { called = found; });
  pc.onicecandidate = async ({ candidate }) => {
    if (candidate) seen.ours += 1;
    await request('PATCH', await location, candidate);
  };
  await pc.setLocalDescription();
  const start = performance.now();
  const sdp = pc.localDescription.sdp.replace(/a=(candidate|end-of-candidates).*\r\n/g, '');
  const response = await request('POST', '/offer', { sdp, type: 'offer', trickle: true });
  const answer = await response.json();
  seen.answerMs = performance.now() - start;
  seen.empty = !/a=candidate/.test(sdp + answer.sdp);
  await pc.setRemoteDescription(answer);
  called(response.headers.get('Location'));
  const url = await location;
  let since = 0;
  const poll = async () => {
    for (let end = false; !end;) {
      const { candidates, next } = await (await request('GET', `${url}/candidates?since=${since}`)).json();
      for (const candidate of candidates) {
        if (candidate.candidate) seen.theirs += 1; else end = true;
        await pc.addIceCandidate(candidate);
      }
      since = next;
    }
  };
  let polling = poll();
  await until('connected', () => pc.connectionState === 'connected');
  seen.connectMs = performance.now() - start;
  await polling;
  await more(pc, 'audio');

  const renegotiate = async () => {
    await pc.setLocalDescription();
    await pc.setRemoteDescription(await (await request('PATCH', url, pc.localDescription)).json());
  };
  pc.addTrack(camera, stream);
  await renegotiate();
  await more(pc, 'video');
  const ufrag = (d) => /a=ice-ufrag:(.*)/.exec(d.sdp)[1];
  const before = ufrag(pc.remoteDescription);
  pc.restartIce();
  await renegotiate();
  seen.restarted = ufrag(pc.remoteDescription) !== before;
  polling = poll();
  await until('connected again', () => ['connected', 'completed'].includes(pc.iceConnectionState));
  await more(pc, 'audio');
  await more(pc, 'video');

  await polling;

  await request('DELETE', url);
  const gone = await fetch(url, { method: 'DELETE' });
  seen.gone = gone.status;
  await until('the end noticed', () => pc.sctp?.transport.state === 'closed' || pc.getSenders()[0].transport.state === 'closed');
  stream.getTracks().forEach((track) => track.stop());
  pc.close();
  return JSON.stringify({ ...seen, totalMs: performance.now() - begin });
}

// One peer connection publishes with WHIP, another plays it with WHEP.
async function oneWay() {
  const headers = { Authorization: 'Bearer secret' };
  const seen = {};
  const exchange = async (pc, url) => {
    await pc.setLocalDescription();
    const response = await fetch(url, { method: 'POST', headers: { ...headers, 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
    if (response.status !== 201) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    return { session: response.headers.get('Location'), tag: response.headers.get('ETag') };
  };
  const patch = (session, tag, body) => fetch(session, {
    method: 'PATCH', headers: { ...headers, 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': tag }, body,
  });
  const about = (sdp, names) => sdp.split('\r\n').filter((line) => names.test(line)).join('\r\n') + '\r\n';
  const section = (sdp) => about(sdp.split(/(?=m=)/).slice(0, 2).join(''), /^(m=|a=mid:|a=ice-|a=candidate:)/);

  const publisher = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  stream.getTracks().forEach((track) => publisher.addTransceiver(track, { direction: 'sendonly', streams: [stream] }));
  const { session, tag } = await exchange(publisher, '/whip');
  await until('all candidates', () => publisher.iceGatheringState === 'complete');
  seen.trickled = (await patch(session, tag, section(publisher.localDescription.sdp))).status;
  await until('published', () => publisher.connectionState === 'connected');

  const player = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  player.addTransceiver('audio', { direction: 'recvonly' });
  player.addTransceiver('video', { direction: 'recvonly' });
  const playing = await exchange(player, '/whep');
  await until('played', () => player.connectionState === 'connected');
  await more(player, 'audio');
  await more(player, 'video');

  publisher.restartIce();
  await publisher.setLocalDescription();
  await until('all candidates', () => publisher.iceGatheringState === 'complete');
  const response = await patch(session, '*', section(publisher.localDescription.sdp));
  seen.restarted = response.status;
  const fragment = await response.text();
  const value = (name) => new RegExp(`a=${name}:.*\r\n`).exec(fragment)[0];
  const candidates = about(fragment, /^a=candidate:/);
  const sdp = publisher.remoteDescription.sdp.replace(/a=(candidate|end-of-candidates).*\r\n/g, '')
    .replace(/a=ice-ufrag:.*\r\n/g, value('ice-ufrag')).replace(/a=ice-pwd:.*\r\n/g, value('ice-pwd'))
    .replace(/a=mid:.*\r\n/, (mid) => mid + candidates);
  await publisher.setRemoteDescription({ type: 'answer', sdp });
  await until('published again', () => ['connected', 'completed'].includes(publisher.iceConnectionState));
  await more(player, 'audio');
  await more(player, 'video');
  seen.old = (await patch(session, tag, section(publisher.localDescription.sdp))).status;

  seen.ended = [];
  for (const url of [playing.session, session, session]) {
    seen.ended.push((await fetch(url, { method: 'DELETE', headers })).status);
  }
  stream.getTracks().forEach((track) => track.stop());
  publisher.close();
  player.close();
  return JSON.stringify(seen);
}

// A call over a socket, in which either end offers, and which outlives its socket.
async function overSocket() {
  const seen = { ours: 0, theirs: 0, offers: 0 };
  const pc = new RTCPeerConnection();
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  const [camera] = stream.getVideoTracks();
  pc.addTrack(stream.getAudioTracks()[0], stream);
  let socket, greeting, bye;
  pc.ondatachannel = ({ channel }) => { channel.onmessage = ({ data }) => { greeting = data; }; };
  const say = (message) => socket.send(JSON.stringify(message));
  // One message is acted on after the other, and of two offers that cross the one of
  // the server counts.
  let turn = Promise.resolve();
  const act = async (message) => {
    switch (message.type) {
      case 'answer':
        if (message.location) seen.location = message.location;
        await pc.setRemoteDescription(message);
        break;
      case 'offer':
        seen.offers += 1;
        await pc.setRemoteDescription(message);
        await pc.setLocalDescription();
        say(pc.localDescription);
        break;
      case 'candidate':
        if (message.candidate) seen.theirs += 1;
        await pc.addIceCandidate(message);
        break;
      case 'bye':
        bye = message.reason;
        break;
      default:
        seen.error = message;
    }
  };
  const open = (path) => new Promise((done, failed) => {
    socket = new WebSocket(new URL(path, location.href));
    socket.onopen = done;
    socket.onerror = () => failed(new Error(`no socket at ${path}`));
    socket.onmessage = ({ data }) => { turn = turn.then(() => act(JSON.parse(data))); };
  });
  await open('/live/ws');
  await pc.setLocalDescription();
  say({ type: 'offer', sdp: pc.localDescription.sdp.replace(/a=(candidate|end-of-candidates).*\r\n/g, '') });
  pc.onicecandidate = ({ candidate }) => {
    if (candidate) seen.ours += 1;
    say(candidate ? { type: 'candidate', ...candidate.toJSON() } : null);
  };
  await until('connected', () => pc.connectionState === 'connected');
  await more(pc, 'audio');
  await until('a channel of the server', () => greeting);
  await until('an end of the offers', () => pc.signalingState === 'stable');
  seen.greeting = greeting;

  const closed = new Promise((done) => { socket.onclose = done; });
  socket.close();
  await closed;
  pc.onicecandidate = null;
  await more(pc, 'audio');
  await open(`${seen.location}/ws`);
  pc.addTrack(camera, stream);
  await pc.setLocalDescription();
  say(pc.localDescription);
  await until('stable again', () => pc.signalingState === 'stable');
  await more(pc, 'video');
  const end = new Promise((done) => { socket.onclose = done; });
  say({ type: 'bye' });
  seen.code = (await end).code;
  await turn;
  seen.bye = bye;
  stream.getTracks().forEach((track) => track.stop());
  pc.close();
  return JSON.stringify(seen);
}

// The demo page of aiortc: one POST with all candidates, which says what to do with
// the pictures too, and a channel that is pinged. The statistics of both ends are
// taken at one time, again and again until they agree.
async function demo() {
  const pc = new RTCPeerConnection({ sdpSemantics: 'unified-plan' });
  const seen = { pongs: 0 };
  const channel = pc.createDataChannel('chat', { ordered: true });
  const begin = performance.now();
  let timer;
  channel.onopen = () => { timer = setInterval(() => channel.send(`ping ${Math.round(performance.now() - begin)}`), 100); };
  channel.onmessage = ({ data }) => { if (/^pong \d+$/.test(data)) seen.pongs += 1; };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  stream.getTracks().forEach((track) => pc.addTrack(track, stream));
  await pc.setLocalDescription(await pc.createOffer());
  await until('all candidates', () => pc.iceGatheringState === 'complete');
  const response = await fetch('/demo', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ sdp: pc.localDescription.sdp, type: pc.localDescription.type, video_transform: 'edges' }),
  });
  const answer = await response.json();
  await pc.setRemoteDescription(answer);
  const url = response.headers.get('Location');
  await until('connected', () => pc.connectionState === 'connected');
  await more(pc, 'audio');
  await more(pc, 'video');
  await until('pongs', () => seen.pongs > 2);

  const numbers = (list) => {
    const n = {};
    for (const r of list) {
      if (r.type === 'outbound-rtp') Object.assign(n, { [`${r.kind}Sent`]: r.packetsSent, [`${r.kind}BytesSent`]: r.bytesSent });
      if (r.type === 'inbound-rtp') Object.assign(n, { [`${r.kind}Received`]: r.packetsReceived, [`${r.kind}BytesReceived`]: r.bytesReceived });
      if (r.type === 'remote-inbound-rtp' && r.roundTripTime !== undefined) n[`${r.kind}RoundTrip`] = r.roundTripTime;
    }
    return n;
  };
  seen.samples = [];
  const types = new Set();
  const near = ({ ours, theirs }) => ['audioRoundTrip', 'videoRoundTrip'].some((name) => Math.abs(ours[name] - theirs[name]) < 0.01);
  const counts = ['audio', 'video'].flatMap((kind) => [['Sent', 'Received'], ['Received', 'Sent'], ['BytesSent', 'BytesReceived'], ['BytesReceived', 'BytesSent']]
    .map(([here, there]) => [kind + here, kind + there]));
  const agree = (count) => seen.samples.some(({ ours, theirs }) => Math.abs(ours[count[0]] - theirs[count[1]]) < 0.05 * ours[count[0]]);
  for (let i = 0; i < 40 && !(i > 4 && seen.samples.some(near) && counts.every(agree)); i += 1) {
    await later(400);
    const [ours, theirs] = await Promise.all([pc.getStats(), request('GET', `${url}/stats`).then((r) => r.json())]);
    Object.values(theirs).forEach((r) => types.add(r.type));
    seen.samples.push({ ours: numbers(ours.values()), theirs: numbers(Object.values(theirs)) });
  }
  seen.types = [...types].sort();
  clearInterval(timer);
  await request('DELETE', url);
  stream.getTracks().forEach((track) => track.stop());
  pc.close();
  return JSON.stringify(seen);
}
