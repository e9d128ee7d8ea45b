import { codecName } from './words.js';

const ms = (seconds) => (seconds === undefined ? undefined : seconds * 1000);
const windowMs = 5000;

// Stats turns the reports of one call into the figures that the page shows.
// Undefined means that the browser doesn't know yet.
export class Stats {
  #past = [];

  sample(report) {
    const found = {};
    report.forEach((s) => {
      if (s.kind === 'audio' || s.type === 'transport') found[s.type] = s;
    });
    const inbound = found['inbound-rtp'] ?? {};
    const outbound = found['outbound-rtp'] ?? {};
    const remote = found['remote-inbound-rtp'] ?? {};
    const pair = selectedPair(report, found.transport);
    const now = {
      at: inbound.timestamp ?? outbound.timestamp ?? performance.now(),
      lost: inbound.packetsLost ?? 0,
      received: inbound.packetsReceived ?? 0,
      bytesOut: outbound.bytesSent ?? 0,
      bytesBack: inbound.bytesReceived ?? 0,
      delay: inbound.jitterBufferDelay ?? 0,
      emitted: inbound.jitterBufferEmittedCount ?? 0,
      concealed: (inbound.concealedSamples ?? 0) - (inbound.silentConcealedSamples ?? 0),
      samples: inbound.totalSamplesReceived ?? 0,
    };
    this.#past.push(now);
    while (now.at - this.#past[0].at > windowMs) this.#past.shift();
    const then = this.#past[0];
    const grown = (name) => now[name] - then[name];
    const share = (part, whole) => (whole > 0 ? (100 * Math.max(0, part)) / whole : undefined);
    const rate = (name) => (now.at > then.at ? (8 * grown(name)) / (now.at - then.at) : undefined);
    return {
      roundTrip: ms(remote.roundTripTime || pair?.currentRoundTripTime),
      jitter: ms(inbound.jitter),
      loss: share(grown('lost'), grown('lost') + grown('received')),
      buffer: grown('emitted') > 0 ? ms(grown('delay') / grown('emitted')) : undefined,
      codecOut: codec(report, outbound),
      codecBack: codec(report, inbound),
      codecType: report.get(inbound.codecId)?.mimeType,
      packetsOut: outbound.packetsSent,
      packetsBack: inbound.packetsReceived,
      lostOut: remote.packetsLost,
      lostBack: inbound.packetsLost,
      rateOut: rate('bytesOut'),
      rateBack: rate('bytesBack'),
      concealed: share(now.concealed, now.samples),
      path: path(report, pair),
    };
  }
}

function selectedPair(report, transport) {
  const chosen = report.get(transport?.selectedCandidatePairId);
  if (chosen) return chosen;
  let pair;
  report.forEach((s) => { if (s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded') pair = s; });
  return pair;
}

function codec(report, stream) {
  const c = report.get(stream.codecId);
  if (!c) return undefined;
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
