// Records what is heard as 16-bit samples of two channels, and says when it was.
class Tape extends AudioWorkletProcessor {
  constructor() {
    super();
    this.over = false;
    this.renew();
    this.port.onmessage = () => {
      this.send();
      this.port.postMessage(null);
      this.over = true;
    };
  }

  renew() {
    this.samples = new Int16Array(2 * 4096);
    this.count = 0;
    this.at = 0;
  }

  send() {
    const samples = this.samples.slice(0, this.count);
    this.port.postMessage({ at: this.at, samples }, [samples.buffer]);
    this.renew();
  }

  process([input]) {
    if (this.over) return false;
    this.at ||= Date.now();
    const left = input[0], right = input[1] ?? left;
    for (let i = 0; i < 128; i++) {
      this.samples[this.count++] = left ? Math.max(-1, Math.min(1, left[i])) * 32767 : 0;
      this.samples[this.count++] = right ? Math.max(-1, Math.min(1, right[i])) * 32767 : 0;
    }
    if (this.count === this.samples.length) this.send();
    return true;
  }
}

registerProcessor('tape', Tape);
