(() => {
  'use strict';

  // More words for the page of internal/browser: other pictures to send, a closer
  // look at what is seen, and viewers beside the page's own connection.

  // sheet has a camera show one picture instead of numbers: 'halves' is white above
  // black, 'ramp' goes from black on the left to white on the right, and '' is numbers
  // again.
  window.sheet = (name, kind) => {
    const { canvas, paint, timer } = cameras[name];
    clearInterval(timer);
    const show = () => {
      if (!kind) return draw(cameras[name]);
      const { width, height } = canvas;
      const fill = kind === 'ramp' ? paint.createLinearGradient(0, 0, width, 0) : paint.createLinearGradient(0, 0, 0, height);
      if (kind === 'ramp') {
        fill.addColorStop(0, '#000');
        fill.addColorStop(1, '#fff');
      } else {
        fill.addColorStop(0.5, '#fff');
        fill.addColorStop(0.5, '#000');
      }
      paint.fillStyle = fill;
      paint.fillRect(0, 0, width, height);
    };
    show();
    cameras[name].timer = setInterval(show, 50);
    return '';
  };

  // number returns that of the picture that the camera shows.
  window.number = (name) => cameras[name].number;

  // drawn returns when the camera showed each of its last pictures.
  window.drawn = (name) => JSON.stringify(Object.fromEntries([...cameras[name].drawn].slice(-1000)));

  const glass = document.createElement('canvas');
  const lens = glass.getContext('2d', { willReadFrequently: true });

  // pixels returns red, green and blue at some points of what is seen, whose
  // coordinates go from 0 to 1.
  window.pixels = (mid, points) => {
    const { video } = eyes[mid];
    Object.assign(glass, { width: video.videoWidth, height: video.videoHeight });
    lens.drawImage(video, 0, 0);
    return JSON.stringify(points.map(([x, y]) =>
      [...lens.getImageData(Math.floor(x * (glass.width - 1)), Math.floor(y * (glass.height - 1)), 1, 1).data].slice(0, 3)));
  };

  // tilts returns of some pictures in which direction the light is, in degrees
  // counter-clockwise from above, and the RTP timestamp.
  window.tilts = async (mid, count) => {
    const { video } = eyes[mid], all = [], size = 80;
    Object.assign(glass, { width: size, height: size });
    for (let i = 0; i < count; i++) {
      const meta = await new Promise((done) => video.requestVideoFrameCallback((_, m) => done(m)));
      const side = Math.min(video.videoWidth, video.videoHeight);
      lens.drawImage(video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side, 0, 0, size, size);
      const { data } = lens.getImageData(0, 0, size, size);
      let right = 0, up = 0;
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const dx = x - size / 2 + 0.5, dy = size / 2 - y - 0.5;
          if (Math.hypot(dx, dy) > size / 2 - 4) continue;
          right += dx * data[4 * (y * size + x)];
          up += dy * data[4 * (y * size + x)];
        }
      }
      all.push({ angle: (Math.atan2(-right, up) * 180) / Math.PI, rtp: meta.rtpTimestamp });
    }
    return JSON.stringify(all);
  };

  // received returns how many frames have come on the line.
  window.received = async (mid) => {
    let n = 0;
    (await pc.getStats()).forEach((s) => { if (s.type === 'inbound-rtp' && s.mid === mid) n = s.framesReceived ?? 0; });
    return n;
  };

  // Viewers, each with a connection of its own.
  const viewers = [];

  // viewer returns the offer of one more, which only looks.
  window.viewer = async () => {
    const own = new RTCPeerConnection();
    const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, playsInline: true });
    const v = { own, video, frames: 0, bad: 0, back: 0, ids: {}, last: -1, first: 0 };
    viewers.push(v);
    v.track = own.addTransceiver('video', { direction: 'recvonly' }).receiver.track;
    document.body.append(video);
    await own.setLocalDescription();
    for (const end = clock() + 1500; own.iceGatheringState !== 'complete' && clock() < end;) await sleep(10);
    return own.localDescription.sdp;
  };

  window.admit = async (i, sdp) => {
    const v = viewers[i];
    const look = () => {
      v.video.requestVideoFrameCallback(look);
      const n = decode(v.video);
      if (n < 0) { v.bad++; return; }
      const number = n & 0x1fff;
      v.frames++;
      v.first ||= number;
      if (number < v.last) v.back++;
      v.last = number;
      v.ids[n >> 13] = 1;
    };
    v.video.requestVideoFrameCallback(look);
    v.video.srcObject = new MediaStream([v.track]);
    await v.own.setRemoteDescription({ type: 'answer', sdp });
    v.video.play().catch(() => {});
    return '';
  };

  // viewed waits until each viewer has seen so many pictures, and returns what.
  window.viewed = async (count, within = 15000) => {
    await until(`${count} pictures for each`, within, () => viewers.every((v) => v.frames >= count)).catch(() => {});
    const all = [];
    for (const { own, frames, bad, back, ids, first, last } of viewers) {
      let lost = 0, received = 0, decoded = 0;
      (await own.getStats()).forEach((s) => {
        if (s.type === 'inbound-rtp') ({ packetsLost: lost, framesReceived: received, framesDecoded: decoded } = s);
      });
      all.push({ frames, bad, back, ids: Object.keys(ids).map(Number), first, last, lost, received, decoded });
    }
    return JSON.stringify(all);
  };

  window.leave = (i) => {
    viewers[i].own.close();
    viewers[i].video.srcObject = null;
    viewers[i].video.remove();
    return '';
  };

  // Channels.

  // refused sends too early or too much, and returns the name of the error.
  window.refused = (label, size) => {
    try {
      window[label].send(new Uint8Array(size));
      return 'nothing';
    } catch (err) {
      return err.name;
    }
  };

  // takes returns what comes on the next channel of the server, in words.
  window.takes = async (label, count) => {
    const ch = await channels.next(), all = [];
    if (ch.label !== label) return ch.label;
    while (all.length < count) {
      const m = await ch.next();
      const text = all.length % 2 === 0;
      all.push((typeof m === 'string') === text ? (text ? m : new TextDecoder().decode(m)) : `${all.length} is ${typeof m}`);
    }
    return all.join(' ');
  };

  // trips sends a small message each 20 ms and returns the 95th percentile of the
  // round trips.
  window.trips = async (label, count) => {
    const ch = window[label], all = [];
    for (let i = 0; i < count; i++) {
      const begin = performance.now();
      ch.send('ping');
      await ch.next();
      all.push(performance.now() - begin);
      await sleep(20 - all[i]);
    }
    return all.sort((a, b) => a - b)[Math.floor(count * 0.95)];
  };

  window.gone = async (label) => {
    await until(`${label} is closed`, 5000, () => window[label].readyState === 'closed');
    return '';
  };

  window.shut = (label) => {
    window[label].close();
    return '';
  };
  return '';
})()
