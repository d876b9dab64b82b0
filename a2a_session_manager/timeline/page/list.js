// The list of rows. Only those in sight are elements; heights of the others are remembered, or guessed.

const GUESS = { session: 78, event: 108, run: 34, gap: 30, hidden: 34, earlier: 34 };
const OVERSCAN = 500; // pixels above and below

class RowList {
  constructor(scroller, holder) {
    this.scroller = scroller;
    this.holder = holder;
    this.rows = [];
    this.heights = new Map(); // by the key of a row
    this.cards = new Map();
    this.tops = [0];
    this.current = null; // the key of the row that keys move from
    this.isPrinting = false;
    scroller.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(scroller);
  }

  /** Make the rows anew, and keep what is at the top where it is. */
  rebuild() {
    const kept = this.topRow();
    this.rows = rowsOf();
    this.places = new Map(this.rows.map((row, at) => [row.key, at]));
    this.measure();
    this.clear();
    if (kept && this.places.has(kept.key)) this.scroller.scrollTop = this.tops[this.places.get(kept.key)] + kept.past;
    this.draw();
  }

  /** Draw the cards anew: what they show has changed. */
  refresh() {
    this.clear();
    this.draw();
  }

  clear() {
    const focused = document.activeElement && document.activeElement.closest("[data-key]");
    this.refocus = focused && this.holder.contains(focused) ? focused.dataset.key : null;
    this.cards.forEach((card) => card.remove());
    this.cards.clear();
  }

  measure() {
    this.tops = new Float64Array(this.rows.length + 1);
    this.rows.forEach((row, at) => {
      this.tops[at + 1] = this.tops[at] + (this.heights.get(row.key) || GUESS[row.kind]);
    });
    this.holder.style.height = `${this.tops[this.rows.length]}px`;
  }

  /** Return the index of the row at a height. */
  at(top) {
    let [low, high] = [0, this.rows.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= top) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  topRow() {
    if (!this.rows.length) return null;
    const at = this.at(this.scroller.scrollTop);
    return { key: this.rows[at].key, past: this.scroller.scrollTop - this.tops[at] };
  }

  later() {
    if (this.isDue || this.isPrinting) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.draw();
    });
  }

  draw() {
    // What is drawn may be higher than was guessed, which moves the rest: it settles after a few rounds.
    for (let round = 0; round < 4 && this.drawOnce(); round += 1);
    lanes.moved();
    if (this.refocus) {
      const card = this.cards.get(this.refocus);
      if (card) (card.querySelector("[aria-expanded]") || card).focus({ preventScroll: true });
      this.refocus = null;
    }
  }

  /** Draw what is in sight, and tell whether anything had another height than was thought. */
  drawOnce() {
    if (!this.rows.length) {
      this.clear();
      return false;
    }
    const from = this.scroller.scrollTop;
    const first = this.at(Math.max(0, from - OVERSCAN));
    const last = this.at(from + this.scroller.clientHeight + OVERSCAN);
    const wanted = new Set(this.rows.slice(first, last + 1).map((row) => row.key));
    for (const [key, card] of this.cards) {
      if (!wanted.has(key) && !card.contains(document.activeElement)) {
        card.remove();
        this.cards.delete(key);
      }
    }
    let after = null;
    for (let at = last; at >= first; at -= 1) {
      const card = this.cards.get(this.rows[at].key) || this.made(at);
      if (card.nextSibling !== after || card.parentNode !== this.holder) this.holder.insertBefore(card, after);
      after = card;
    }
    return this.settle(first, last, from);
  }

  made(at) {
    const row = this.rows[at];
    const card = cardOf(row);
    card.dataset.key = row.key;
    card.tabIndex = row.key === this.current ? 0 : -1;
    if (row.key === this.current) card.classList.add("current");
    card.setAttribute("aria-posinset", at + 1);
    card.setAttribute("aria-setsize", this.rows.length);
    this.cards.set(row.key, card);
    return card;
  }

  settle(first, last, from) {
    const anchorAt = this.at(from);
    const past = from - this.tops[anchorAt];
    let changed = false;
    for (let at = first; at <= last; at += 1) {
      const { key } = this.rows[at];
      const height = this.cards.get(key).offsetHeight;
      if (Math.abs(height - (this.heights.get(key) || 0)) > 0.5) {
        changed = changed || height !== this.tops[at + 1] - this.tops[at];
        this.heights.set(key, height);
      }
    }
    if (changed) {
      this.measure();
      const wanted = this.tops[anchorAt] + past;
      if (Math.abs(wanted - from) > 0.5) this.scroller.scrollTop = wanted;
    }
    for (let at = first; at <= last; at += 1) this.cards.get(this.rows[at].key).style.top = `${this.tops[at]}px`;
    return changed;
  }

  /** Bring a row into sight, and make it the current one. */
  show(key, { focus = true } = {}) {
    if (!this.places.has(key)) return false;
    const before = this.cards.get(this.current);
    if (before) {
      before.classList.remove("current");
      before.tabIndex = -1;
    }
    this.current = key;
    for (let round = 0; round < 3; round += 1) {
      this.scroller.scrollTop = Math.max(0, this.tops[this.places.get(key)] - 12);
      this.draw();
    }
    const card = this.cards.get(key);
    if (card) {
      card.classList.add("current");
      card.tabIndex = 0;
      if (focus) card.focus({ preventScroll: true });
    }
    return true;
  }

  /** Move to the next row, or with −1 to the one before, that `isWanted`. */
  step(by, isWanted) {
    let at = this.places.get(this.current);
    if (at === undefined) at = this.at(this.scroller.scrollTop) - (by > 0 ? 1 : 0);
    for (at += by; at >= 0 && at < this.rows.length; at += by) {
      if (isWanted(this.rows[at])) return this.show(this.rows[at].key);
    }
    return false;
  }

  /** For paper, show rows one below the other, as many as a page can hold at once. */
  print(isPrinting) {
    this.isPrinting = isPrinting;
    this.clear();
    this.holder.replaceChildren();
    if (!isPrinting) return this.draw();
    const shown = this.rows.slice(0, 1_500);
    shown.forEach((row) => this.holder.append(cardOf(row)));
    const left = this.rows.length - shown.length;
    if (left) this.holder.append(el("p", { class: "row" }, `${counted(left, "more row")} not printed: filter, or export fewer events.`));
    return undefined;
  }
}
