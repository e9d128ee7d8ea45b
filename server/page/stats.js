import { codecName } from './words.js';

const ms = (seconds) => (seconds === undefined ? undefined : seconds * 1000);
const share = (part, whole) => (whole > 0 ? (100 * Math.max(0, part)) / whole : undefined);
const kinds = ['audio', 'video'];
const windowMs = 5000;

// Stats turns the reports of one call into the figures that the page shows.
// Undefined means that the browser doesn't know yet.
export class Stats {
  #past = [];

  sample(report) {
    const now = { audio: new Totals(), video: new Totals() };
    const pictures = new Map(); // by the id of the track
    let transport;
    report.forEach((s) => {
      if (s.type === 'transport') transport = s;
      now[s.kind]?.add(s);
      if (s.type === 'inbound-rtp' && s.kind === 'video') {
        pictures.set(s.trackIdentifier, { frames: s.framesDecoded ?? 0, rate: s.framesPerSecond, width: s.frameWidth, height: s.frameHeight });
      }
    });
    now.at = now.audio.at ?? now.video.at ?? performance.now();
    this.#past.push(now);
    while (now.at - this.#past[0].at > windowMs) this.#past.shift();
    const then = this.#past[0];
    const lines = Object.fromEntries(kinds.map((kind) => [kind, line(report, now[kind], then[kind], now.at - then.at)]));
    const first = now.audio.at === undefined ? lines.video : lines.audio;
    const sum = (name) => kinds.reduce((all, kind) => (lines[kind][name] === undefined ? all : (all ?? 0) + lines[kind][name]), undefined);
    const pair = selectedPair(report, transport);
    return {
      ...lines,
      pictures,
      roundTrip: ms(now.audio.roundTrip || now.video.roundTrip || pair?.currentRoundTripTime),
      jitter: first.jitter,
      buffer: first.buffer,
      loss: share(sum('lostNow'), sum('lostNow') + sum('receivedNow')),
      rateOut: sum('rateOut'),
      rateBack: sum('rateBack'),
      framesOut: lines.video.framesOut,
      framesBack: lines.video.framesBack,
      path: path(report, pair),
    };
  }
}

// arrived counts all that has come, checks of the paths too, or returns undefined where the
// browser does not count these: without media there may be nothing else.
export function arrived(report) {
  let sum;
  report.forEach((s) => {
    if (s.type !== 'candidate-pair' || s.requestsReceived === undefined) return;
    sum = (sum ?? 0) + s.requestsReceived + (s.responsesReceived ?? 0) + (s.bytesReceived ?? 0);
  });
  return sum;
}

// Totals are the counters of all lines of one kind.
class Totals {
  received = 0;
  lost = 0;
  bytesOut = 0;
  bytesBack = 0;
  delay = 0;
  emitted = 0;
  concealed = 0;
  samples = 0;
  frames = 0;

  add(s) {
    switch (s.type) {
      case 'inbound-rtp':
        this.at = s.timestamp;
        this.received += s.packetsReceived ?? 0;
        this.lost += s.packetsLost ?? 0;
        this.bytesBack += s.bytesReceived ?? 0;
        this.delay += s.jitterBufferDelay ?? 0;
        this.emitted += s.jitterBufferEmittedCount ?? 0;
        this.concealed += (s.concealedSamples ?? 0) - (s.silentConcealedSamples ?? 0);
        this.samples += s.totalSamplesReceived ?? 0;
        this.frames += s.framesDecoded ?? 0;
        this.jitter = Math.max(this.jitter ?? 0, s.jitter ?? 0);
        this.framesBack = Math.max(this.framesBack ?? 0, s.framesPerSecond ?? 0);
        this.codecBack ??= s.codecId;
        break;
      case 'outbound-rtp':
        this.at ??= s.timestamp;
        this.sent = (this.sent ?? 0) + (s.packetsSent ?? 0);
        this.bytesOut += s.bytesSent ?? 0;
        this.framesOut = Math.max(this.framesOut ?? 0, s.framesPerSecond ?? 0);
        this.codecOut ??= s.codecId;
        break;
      case 'remote-inbound-rtp':
        this.lostOut = (this.lostOut ?? 0) + (s.packetsLost ?? 0);
        this.roundTrip = s.roundTripTime || this.roundTrip;
        break;
    }
  }
}

// line tells how one kind of media does, by how its totals have grown in some time.
function line(report, now, then, time) {
  const grown = (name) => now[name] - then[name];
  const rate = (name) => (time > 0 && now.at !== undefined ? (8 * Math.max(0, grown(name))) / time : undefined);
  const heard = now.codecBack !== undefined;
  return {
    codecOut: codec(report, now.codecOut),
    codecBack: codec(report, now.codecBack),
    codecType: report.get(now.codecBack)?.mimeType,
    packetsOut: now.sent,
    packetsBack: heard ? now.received : undefined,
    lostOut: now.lostOut,
    lostBack: heard ? now.lost : undefined,
    lostNow: Math.max(0, grown('lost')),
    receivedNow: Math.max(0, grown('received')),
    rateOut: rate('bytesOut'),
    rateBack: rate('bytesBack'),
    jitter: heard ? ms(now.jitter) : undefined,
    buffer: grown('emitted') > 0 ? ms(grown('delay') / grown('emitted')) : undefined,
    concealed: share(now.concealed, now.samples),
    framesOut: now.framesOut,
    framesBack: heard ? now.framesBack : undefined,
    frames: heard ? now.frames : undefined,
  };
}

function selectedPair(report, transport) {
  const chosen = report.get(transport?.selectedCandidatePairId);
  if (chosen) return chosen;
  let pair;
  report.forEach((s) => { if (s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded') pair = s; });
  return pair;
}

function codec(report, id) {
  const c = report.get(id);
  if (!c) return undefined;
  if (/^video/i.test(c.mimeType)) return codecName(c.mimeType);
  // G.722 is sampled at 16 kHz; its 8 kHz is an old mistake (RFC 3551, 4.5.2).
  const hz = /g722/i.test(c.mimeType) ? 16000 : c.clockRate;
  return `${codecName(c.mimeType)}, ${hz / 1000} kHz`;
}

function path(report, pair) {
  const local = report.get(pair?.localCandidateId);
  const remote = report.get(pair?.remoteCandidateId);
  if (!local || !remote) return undefined;
  const kinds = { host: 'direct', srflx: 'through a NAT', prflx: 'through a NAT', relay: 'through a relay' };
  const host = remote.address?.includes(':') ? `[${remote.address}]` : remote.address;
  const kind = local.candidateType === 'host' || local.candidateType === 'prflx' ? remote.candidateType : local.candidateType;
  return `${(local.protocol ?? 'udp').toUpperCase()} to ${host}:${remote.port}, ${kinds[kind] ?? kind}`;
}
