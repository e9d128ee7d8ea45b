// calm matches when the person asked for less motion.
export const calm = matchMedia('(prefers-reduced-motion: reduce)');

// A Surface is a canvas at the resolution of the screen, with the page's colours.
class Surface {
  constructor(canvas, draw) {
    this.canvas = canvas;
    this.draw = draw;
    this.context = canvas.getContext('2d');
    new ResizeObserver(() => this.redraw()).observe(canvas);
    this.colours = new Map();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.colours.clear();
      this.redraw();
    });
  }

  // colour returns a custom property; reading styles at each frame costs more
  // than the drawing.
  colour(name) {
    let value = this.colours.get(name);
    if (!value) {
      value = getComputedStyle(this.canvas).getPropertyValue(name).trim();
      this.colours.set(name, value);
    }
    return value;
  }

  redraw() {
    const { canvas, context } = this;
    const scale = devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    if (!w || !h) return;
    if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
      canvas.width = Math.round(w * scale);
      canvas.height = Math.round(h * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, w, h);
    this.draw(context, w, h);
  }
}

const span = 10000; // ms that the ribbon shows
const slot = 50; // ms of one bar
const slots = span / slot;
const height = (db) => Math.max(0, Math.min(1, (db + 54) / 48));

// A Ribbon shows ten seconds of two levels: out above the line, back below it.
// Until there is something to show it shows, faintly, what that would look like.
export class Ribbon {
  #bars = [];
  #from = 0;
  #live = false;
  #drawn = 0;

  constructor(canvas) { this.surface = new Surface(canvas, (c, w, h) => this.#draw(c, w, h)); }

  clear() {
    this.#bars = [];
    this.#live = true;
    this.#from = performance.now();
    this.surface.redraw();
  }

  // push adds the two levels, in dB, at time now, and draws.
  push(now, out, back) {
    const at = Math.floor((now - this.#from) / slot);
    const last = this.#bars.at(-1);
    if (last?.at === at) {
      last.out = Math.max(last.out, out);
      last.back = Math.max(last.back, back);
    } else {
      this.#bars.push({ at, out, back });
    }
    while (this.#bars.length && this.#bars[0].at < at - slots) this.#bars.shift();
    if (now - this.#drawn < (calm.matches ? 1000 : slot)) return;
    this.#drawn = now;
    this.surface.redraw();
  }

  #draw(c, w, h) {
    const middle = Math.round(h / 2) + 0.5;
    const room = h / 2 - 14;
    c.strokeStyle = this.surface.colour('--grid');
    c.fillStyle = this.surface.colour('--stage-muted');
    c.font = '11px system-ui, sans-serif';
    c.textBaseline = 'bottom';
    const step = w < 480 ? 5 : 2;
    for (let s = 0; s <= 10; s += step) {
      const x = Math.round(w - (s * w) / 10) - 0.5;
      c.beginPath();
      c.moveTo(Math.max(0.5, x), 0);
      c.lineTo(Math.max(0.5, x), h);
      c.stroke();
      c.textAlign = s === 0 ? 'right' : 'left';
      c.fillText(s === 0 ? 'now' : `${s} s ago`, s === 0 ? w - 5 : Math.max(0, x) + 5, h - 1);
    }
    const live = this.#live;
    const bars = live ? this.#bars : ghost;
    const end = bars.at(-1)?.at ?? 0;
    const pitch = w / slots;
    c.globalAlpha = live ? 1 : 0.4;
    for (const [key, sign, colour] of [['out', -1, '--stage-out'], ['back', 1, '--stage-back']]) {
      c.fillStyle = this.surface.colour(colour);
      for (const bar of bars) {
        const tall = height(bar[key]) * room;
        if (tall < 1) continue;
        const x = w - (end - bar.at + 1) * pitch;
        c.fillRect(x, sign < 0 ? middle - tall - 1 : middle + 1, Math.max(1, pitch * 0.68), tall);
      }
    }
    c.globalAlpha = 1;
    c.strokeStyle = this.surface.colour('--stage-muted');
    c.beginPath();
    c.moveTo(0, middle);
    c.lineTo(w, middle);
    c.stroke();
  }
}

// Four words and their echo, 0.4 s later.
const ghost = (() => {
  const words = [[24, 20], [50, 12], [70, 34], [136, 26]];
  const word = (at) => words.reduce((sum, [begin, long]) => {
    const x = (at - begin) / long;
    if (x <= 0 || x >= 1) return sum;
    return sum + Math.sin(Math.PI * x) ** 0.6 * (0.62 + 0.38 * Math.sin(at * 1.7 + begin));
  }, 0);
  const db = (level) => -54 + 44 * level;
  return Array.from({ length: slots }, (_, at) => ({ at, out: db(word(at)), back: db(0.92 * word(at - 8)) }));
})();

// A Spark is a line of the last minute, scaled from zero to at least floor.
export class Spark {
  #values = [];

  constructor(canvas, floor) {
    this.floor = floor;
    this.surface = new Surface(canvas, (c, w, h) => this.#draw(c, w, h));
  }

  clear() {
    this.#values = [];
    this.surface.redraw();
  }

  push(value) {
    this.#values.push(value);
    if (this.#values.length > 120) this.#values.shift();
    this.surface.redraw();
  }

  #draw(c, w, h) {
    const top = Math.max(this.floor, ...this.#values.filter((v) => v !== undefined)) * 1.1;
    const x = (i) => w - ((this.#values.length - 1 - i) * w) / 119 - 2;
    const y = (v) => h - 2 - (v / top) * (h - 4);
    c.lineWidth = 1;
    c.strokeStyle = this.surface.colour('--line');
    c.beginPath();
    c.moveTo(0, h - 1.5);
    c.lineTo(w, h - 1.5);
    c.stroke();
    c.lineWidth = 1.75;
    c.lineJoin = 'round';
    c.strokeStyle = this.surface.colour('--accent');
    c.beginPath();
    let drawing = false;
    this.#values.forEach((v, i) => {
      if (v === undefined) { drawing = false; return; }
      if (drawing) c.lineTo(x(i), y(v));
      else c.moveTo(x(i), y(v));
      drawing = true;
    });
    c.stroke();
    if (drawing) {
      c.fillStyle = this.surface.colour('--accent');
      c.beginPath();
      c.arc(w - 3, y(this.#values.at(-1)), 2.5, 0, 7);
      c.fill();
    }
  }
}
