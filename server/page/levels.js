import { Ribbon, calm } from './chart.js';

const quiet = -60; // dB of full scale that count as silence

// A Level tells how loud a stream is, with all its tracks.
class Level {
  constructor(context, stream) {
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.nodes = stream.getAudioTracks().map((track) => context.createMediaStreamSource(new MediaStream([track])));
    this.nodes.forEach((node) => node.connect(this.analyser));
    this.samples = new Float32Array(this.analyser.fftSize);
  }

  // decibels returns the power of the last 20 ms.
  decibels() {
    this.analyser.getFloatTimeDomainData(this.samples);
    let power = 0;
    for (const x of this.samples) power += x * x;
    return Math.max(quiet, 10 * Math.log10(power / this.samples.length + 1e-9));
  }

  close() { this.nodes.forEach((node) => node.disconnect()); }
}

// Levels shows how loud both ends are: the ribbon, and a meter for each, which
// falls by 24 dB a second, so that an eye can follow.
export class Levels {
  #inputs = {};
  #held = { out: quiet, back: quiet };
  #at = 0;
  #saidAt = 0;
  #running = false;

  constructor(ribbon, meters) {
    this.ribbon = new Ribbon(ribbon);
    this.meters = meters; // {out, back}: {meter, value}
  }

  start() {
    this.ribbon.clear();
    this.#running = true;
    requestAnimationFrame((now) => this.#frame(now));
  }

  // hear puts a stream in the place of the one before; null for none.
  hear(name, context, stream) {
    this.#inputs[name]?.close();
    try {
      this.#inputs[name] = context && stream && new Level(context, stream);
    } catch {
      this.#inputs[name] = null; // the call works without meters
    }
  }

  stop() {
    this.#running = false;
    for (const name of ['out', 'back']) {
      this.hear(name, null, null);
      this.#held[name] = quiet;
      this.#show(name, quiet);
      this.#say(name, quiet);
    }
  }

  #frame(now) {
    if (!this.#running) return;
    requestAnimationFrame((next) => this.#frame(next));
    const fall = 0.024 * Math.min(1000, now - this.#at);
    this.#at = now;
    const heard = {};
    for (const name of ['out', 'back']) {
      heard[name] = this.#inputs[name]?.decibels() ?? quiet;
      this.#held[name] = Math.max(heard[name], this.#held[name] - fall);
    }
    this.ribbon.push(now, heard.out, heard.back);
    const late = now - this.#saidAt >= 250;
    if (late) this.#saidAt = now;
    for (const [name, db] of Object.entries(this.#held)) {
      if (late || !calm.matches) this.#show(name, db);
      if (late) this.#say(name, db);
    }
  }

  #show(name, db) {
    this.meters[name].meter.firstChild.style.transform = `scaleX(${((db - quiet) / -quiet).toFixed(3)})`;
  }

  #say(name, db) {
    const { meter, value } = this.meters[name];
    const silent = db <= quiet;
    const rounded = Math.round(db);
    value.textContent = silent ? 'silent' : `−${-rounded} dB`;
    meter.setAttribute('aria-valuenow', rounded);
    meter.setAttribute('aria-valuetext', silent ? 'silent' : `${rounded} decibels`);
  }
}
