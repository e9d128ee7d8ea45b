// Screens shows pictures beside each other: what is sent, and each line that
// something is seen on.
export class Screens {
  #tiles = new Map(); // by the id of the track
  #counted = 0;

  // element gets the tiles; seen is told how many lines of the server are seen.
  constructor(element, seen) {
    this.element = element;
    this.seen = seen;
  }

  // add shows a track. One of the server appears when there are pictures.
  add(track, title, own) {
    this.remove(track);
    const figure = document.createElement('figure');
    const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, playsInline: true });
    const caption = document.createElement('figcaption');
    video.setAttribute('aria-label', title);
    video.srcObject = new MediaStream([track]);
    video.play().catch(() => {});
    caption.textContent = title;
    figure.append(video, caption);
    figure.className = own ? 'own' : 'theirs';
    figure.hidden = !own;
    this.element.append(figure);
    this.#tiles.set(track.id, { figure, video, caption, title, own, frames: 0, at: -Infinity });
    this.#count();
  }

  remove(track) {
    const tile = track && this.#tiles.get(track.id);
    if (!tile) return;
    tile.video.srcObject = null;
    tile.figure.remove();
    this.#tiles.delete(track.id);
    this.#count();
  }

  clear() {
    for (const { figure, video } of this.#tiles.values()) {
      video.srcObject = null;
      figure.remove();
    }
    this.#tiles.clear();
    this.#count();
  }

  // play tries again what the browser may have refused before a click.
  play() { this.#tiles.forEach(({ video }) => video.play().catch(() => {})); }

  // update takes the frames decoded so far and the size and rate, by track. A line
  // without a new picture for two seconds is hidden.
  update(pictures, now) {
    for (const [id, tile] of this.#tiles) {
      const p = pictures.get(id);
      if (tile.own) {
        tile.caption.textContent = describe(tile.title, tile.video.videoWidth, tile.video.videoHeight);
        continue;
      }
      if (p && p.frames !== tile.frames) {
        tile.frames = p.frames;
        tile.at = now;
        tile.caption.textContent = describe(tile.title, p.width, p.height, p.rate);
      }
      tile.figure.hidden = now - tile.at > 2000;
    }
    this.#count();
  }

  #count() {
    const shown = [...this.#tiles.values()].filter((t) => !t.figure.hidden);
    const theirs = shown.filter((t) => !t.own).length;
    this.element.hidden = shown.length === 0;
    this.element.dataset.count = shown.length;
    if (theirs !== this.#counted) {
      this.#counted = theirs;
      this.seen(theirs);
    }
  }
}

function describe(title, width, height, rate) {
  const parts = [title];
  if (width) parts.push(`${width} × ${height}`);
  if (rate !== undefined) parts.push(`${Math.round(rate)} fps`);
  return parts.join(' · ');
}
