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
