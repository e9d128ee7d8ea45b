"use strict";

// The page's end of data channels. Its channels speak what their protocol says;
// those of the server are sent back what they carry.

const told = [];
let pc;

const sleep = ms => new Promise(done => setTimeout(done, ms));

function listen(ch) {
  ch.binaryType = "arraybuffer";
  const queue = [], waiting = [];
  const put = x => waiting.length ? waiting.shift()(x) : queue.push(x);
  ch.onmessage = e => put(e.data);
  ch.gone = new Promise(done => ch.onclose = () => { put(null); done("closed"); });
  ch.next = () => queue.length ? Promise.resolve(queue.shift()) : new Promise(done => waiting.push(done));
  ch.opened = ch.readyState === "open" ? Promise.resolve() : new Promise(done => ch.onopen = done);
  return ch;
}

function properties(ch) {
  const { label, ordered, maxRetransmits, maxPacketLifeTime, protocol, negotiated } = ch;
  return { label, ordered, maxRetransmits, maxPacketLifeTime, protocol, negotiated };
}

async function connect() {
  pc = new RTCPeerConnection();
  pc.ondatachannel = e => {
    const ch = listen(e.channel);
    told.push(properties(ch));
    (async () => {
      for (let m; (m = await ch.next()) !== null;) ch.send(m);
    })();
  };
  const context = new AudioContext(), tone = new OscillatorNode(context), out = context.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  pc.addTrack(out.stream.getTracks()[0]);
  const first = listen(pc.createDataChannel("agreed", { negotiated: true, id: 5 }));
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== "complete") await sleep(20);
  const response = await fetch("/offer", { method: "POST", body: pc.localDescription.sdp });
  await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
  await first.opened;
  first.send("hello");
  return await first.next();
}

async function open(label, init) {
  const ch = listen(pc.createDataChannel(label, init));
  await ch.opened;
  return ch;
}

const same = (a, b) => typeof a === typeof b && (typeof a === "string" ? a === b :
  a.byteLength === b.byteLength && new Uint8Array(a).every((x, i) => x === new Uint8Array(b)[i]));

// kinds opens a channel of each kind and has each message sent back.
async function kinds(inits) {
  for (const init of inits) {
    const ch = await open(init.label, { ...init, protocol: "echo" });
    for (const n of [0, 1, 2, 1000, 1200, 16384, 65535, 65536, 262144]) {
      if (init.maxRetransmits === 0 && n > 1000) continue;
      const bytes = new Uint8Array(n).map((_, i) => i * 31 >> 3);
      for (const m of [bytes.buffer, "é".repeat(n >> 1) + "x".repeat(n & 1)]) {
        ch.send(m);
        const back = await Promise.race([ch.next(), sleep(5000)]);
        if (!same(m, back)) return `${init.label}: ${n} bytes of ${typeof m} came back as ${back && (back.byteLength ?? back.length)} of ${typeof back}`;
      }
    }
    ch.close();
    await ch.gone;
  }
  return "ok";
}

function content(n) {
  const words = new Uint32Array(n / 4);
  for (let i = 0, x = 1; i < words.length; i++) words[i] = x = Math.imul(x, 1664525) + 1013904223;
  return new Uint8Array(words.buffer);
}

async function digest(bytes) {
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map(b => b.toString(16).padStart(2, "0")).join("");
}

// up sends n bytes, and returns the time it took and whether the server got them.
async function up(n) {
  const bytes = content(n), ch = await open("up", { protocol: "hash" });
  ch.bufferedAmountLowThreshold = 1 << 20;
  const begin = performance.now();
  ch.send(String(n));
  for (let i = 0; i < n; i += 65536) {
    if (ch.bufferedAmount > 4 << 20) await new Promise(done => ch.onbufferedamountlow = done);
    ch.send(bytes.subarray(i, i + 65536));
  }
  const hash = await ch.next(), took = performance.now() - begin;
  return `${hash === await digest(bytes)} ${took}`;
}

// down has n bytes sent.
async function down(n) {
  const ch = await open("down", { protocol: "pour" }), bytes = new Uint8Array(n);
  const begin = performance.now();
  ch.send(String(n));
  for (let i = 0; i < n;) {
    const m = await ch.next();
    bytes.set(new Uint8Array(m), i);
    i += m.byteLength;
  }
  const took = performance.now() - begin;
  return `${await digest(bytes) === await digest(content(n))} ${took}`;
}

// trips sends a small message each 20 ms and returns the 95th percentile of the
// round trips, in milliseconds.
async function trips(count) {
  const ch = await open("trips", { protocol: "echo", ordered: true }), all = [];
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    ch.send("ping");
    await ch.next();
    all.push(performance.now() - begin);
    await sleep(20 - all[i]);
  }
  return all.sort((a, b) => a - b)[Math.floor(count * 0.95)];
}

// closes has each end close a channel, with data on its way.
async function closes() {
  const ours = await open("ours", { protocol: "count" });
  for (let i = 0; i < 30; i++) ours.send(new Uint8Array(60000));
  ours.close();
  await ours.gone;
  const theirs = await open("theirs", { protocol: "burst" });
  let n = 0;
  for (let m; (m = await theirs.next()) !== null;) n += m.byteLength;
  return n;
}
