// Measures what is heard: power, and runs of samples below a threshold that
// begin after the first sound. Zero crossings of a tone are runs of less than a
// millisecond; a lost frame is one of 10 ms and more.
class Gaps extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.threshold = options.processorOptions.threshold;
    this.heard = false;
    this.run = 0;
    this.longest = 0;
    this.reset();
    this.port.onmessage = ({ data }) => {
      if (data === 'reset') return this.reset();
      const ms = 1000 / sampleRate;
      this.port.postMessage({
        heard: this.heard,
        longestMs: this.longest * ms,
        longestSteadyMs: this.longestSteady * ms,
        seconds: this.samples / sampleRate,
        power: this.power.map((p) => p / Math.max(1, this.samples)),
        peak: this.peak,
      });
    };
  }

  reset() {
    this.longestSteady = 0;
    this.samples = 0;
    this.power = [0, 0];
    this.peak = 0;
    this.run = 0;
  }

  process([input]) {
    const left = input[0];
    const right = input[1] ?? left;
    for (let i = 0; i < 128; i++) {
      const l = left ? left[i] : 0;
      const r = right ? right[i] : 0;
      const high = Math.max(Math.abs(l), Math.abs(r));
      this.power[0] += l * l;
      this.power[1] += r * r;
      this.peak = Math.max(this.peak, high);
      if (high >= this.threshold) {
        this.heard = true;
        this.run = 0;
      } else if (this.heard) {
        this.run++;
        this.longest = Math.max(this.longest, this.run);
        this.longestSteady = Math.max(this.longestSteady, this.run);
      }
    }
    this.samples += 128;
    return true;
  }
}

registerProcessor('gaps', Gaps);
