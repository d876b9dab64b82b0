// The whole tree over time: a lane for each session, with its runs, calls and events. Long idle times are folded.

const LANE = 18;
const AXIS = 20;
const FOLD = 22;
const NEAR = 6;

class Lanes {
  constructor(scroller, canvas, tip) {
    Object.assign(this, { scroller, canvas, tip, lanes: [], times: [], xs: [], folds: [] });
    new ResizeObserver(() => this.rebuild()).observe(scroller);
    scroller.addEventListener("scroll", () => this.later(), { passive: true });
    canvas.addEventListener("mousemove", (happened) => this.hover(happened));
    canvas.addEventListener("mouseleave", () => (tip.hidden = true));
    canvas.addEventListener("click", (happened) => {
      const found = this.near(happened);
      if (found) go(found.session, found.event);
    });
  }

  rebuild() {
    this.lanes = [...inTreeOrder(sessions[0])];
    this.gutter = Math.min(190, Math.round(this.scroller.clientWidth * 0.22));
    this.width = this.scroller.clientWidth;
    this.scale();
    find("lanes-space").style.height = `${AXIS + this.lanes.length * LANE + 6}px`;
    this.later();
  }

  /** Work out where each moment lies: what is busy in proportion, what is idle in a fold. */
  scale() {
    const moments = new Set();
    for (const session of this.lanes) {
      session.events.forEach((event) => moments.add(event.t));
      session.runs.forEach((run) => [run.start, run.end].forEach((each) => each && moments.add(each)));
      if (!session.events.length) moments.add(session.created);
    }
    this.times = Float64Array.from(moments).sort();
    const room = Math.max(60, this.width - this.gutter - 24);
    const steps = this.times.subarray(1).map((time, at) => time - this.times[at]);
    let least = IDLE;
    while (steps.filter((step) => step > least).length * FOLD > room * 0.4) least *= 2;
    const busy = steps.reduce((sum, step) => sum + (step > least ? 0 : step), 0);
    const folded = steps.filter((step) => step > least).length;
    const perMs = busy ? (room - folded * FOLD) / busy : 0;
    this.xs = new Float64Array(this.times.length);
    this.folds = [];
    let x = this.gutter + 8;
    steps.forEach((step, at) => {
      this.xs[at] = x;
      if (step > least) this.folds.push({ x, length: step });
      x += step > least ? FOLD : step * perMs;
    });
    if (this.times.length) this.xs[this.times.length - 1] = x;
  }

  x(time) {
    let [low, high] = [0, this.times.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return this.xs[low];
  }

  moved() {
    this.later();
  }

  later() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.draw();
    });
  }

  draw() {
    const height = this.scroller.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    if (!height || !this.width) return;
    this.canvas.width = this.width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${height}px`;
    const style = getComputedStyle(document.documentElement);
    const colors = new Map(); // to ask for one takes microseconds, and there are ten thousand events
    this.color = (name) => {
      if (!colors.has(name)) colors.set(name, style.getPropertyValue(`--${name}`).trim());
      return colors.get(name);
    };
    const paint = this.canvas.getContext("2d");
    paint.scale(ratio, ratio);
    paint.clearRect(0, 0, this.width, height);
    this.drawFolds(paint, height);
    const first = Math.max(0, Math.floor((this.scroller.scrollTop - AXIS) / LANE));
    const shown = this.shown();
    for (let at = first; at < this.lanes.length; at += 1) {
      const top = AXIS + at * LANE - this.scroller.scrollTop;
      if (top > height) break;
      if (top > AXIS - LANE) this.drawLane(paint, this.lanes[at], top, shown);
    }
    this.drawAxis(paint, shown, height);
  }

  /** Return the event at the top of the list. */
  shown() {
    const top = list.topRow();
    const row = top && list.rows.slice(list.places.get(top.key)).find((each) => each.event || each.session);
    return row ? { session: row.event ? row.event.session : row.session, event: row.event || null } : null;
  }

  drawLane(paint, session, top, shown) {
    const middle = top + LANE / 2;
    if (shown && shown.session === session) {
      paint.fillStyle = this.color("hover");
      paint.fillRect(0, top, this.width, LANE);
    }
    paint.fillStyle = session.whole.unknown ? this.color("quiet") : this.color("text");
    paint.font = "11px system-ui, sans-serif";
    paint.textBaseline = "middle";
    paint.fillText(this.fitted(paint, `${session.fork ? "↱ " : ""}${nameOf(session)}`, this.gutter - 12 - session.depth * 8), 6 + Math.min(session.depth, 6) * 8, middle);
    const [from, to] = session.span;
    paint.fillStyle = this.color("line");
    paint.fillRect(this.x(from), middle - 0.5, Math.max(1, this.x(to) - this.x(from)), 1);
    for (const run of session.runs) {
      if (!run.start) continue;
      paint.fillStyle = this.color(run.status === "failed" ? "error-soft" : "run");
      paint.fillRect(this.x(run.start), middle - 6, Math.max(2, this.x(run.end || to) - this.x(run.start)), 12);
    }
    this.drawEvents(paint, session, middle);
  }

  drawEvents(paint, session, middle) {
    for (const event of session.events) {
      const x = this.x(event.t);
      if (event.answeredBy) {
        for (const { event: answer } of event.answeredBy.values()) {
          if (answer === event) continue;
          paint.fillStyle = this.color(answer.error ? "error" : "call");
          paint.globalAlpha = 0.45;
          paint.fillRect(x, middle - 3, Math.max(1, this.x(answer.t) - x), 6);
          paint.globalAlpha = 1;
        }
      }
      if (event.absorbedBy) continue;
      paint.fillStyle = this.color(event.r ? "quiet" : event.error ? "error" : TICKS[kindsOf(event)[0]]);
      const tall = event.w === "user" || event.error ? 6 : 4;
      paint.fillRect(x - 1, middle - tall, 2, tall * 2);
    }
  }

  fitted(paint, text, room) {
    let cut = oneLine(text, 60);
    while (cut.length > 2 && paint.measureText(cut).width > room) cut = `${cut.slice(0, -2)}…`;
    return cut;
  }

  drawFolds(paint, height) {
    paint.fillStyle = this.color("fold");
    for (const fold of this.folds) {
      for (let y = AXIS; y < height; y += 6) paint.fillRect(fold.x + FOLD / 2 - 1, y, 2, 3);
    }
  }

  drawAxis(paint, shown, height) {
    paint.fillStyle = this.color("panel");
    paint.fillRect(0, 0, this.width, AXIS - 1);
    paint.fillStyle = this.color("quiet");
    paint.font = "10px system-ui, sans-serif";
    const start = sessions[0].span[0];
    let free = 0;
    for (const fold of this.folds) {
      const label = `⋯ ${duration(fold.length)} ⋯`;
      const x = Math.min(fold.x + FOLD / 2 - paint.measureText(label).width / 2, this.width - paint.measureText(label).width - 4);
      if (x > free) {
        paint.fillText(label, x, AXIS / 2);
        free = x + paint.measureText(label).width + 12;
      }
    }
    if (!this.folds.length || this.folds[0].x > this.gutter + 70) paint.fillText(offset(this.times[0] - start), this.gutter + 8, AXIS / 2);
    const first = this.gutter + 8 + paint.measureText(offset(0)).width;  // one label is enough where all is at one moment
    if (this.times.length && this.xs[this.xs.length - 1] - 40 > Math.max(free, first)) {
      const label = offset(this.times[this.times.length - 1] - start);
      paint.fillText(label, this.xs[this.xs.length - 1] - paint.measureText(label).width, AXIS / 2);
    }
    if (shown && shown.event) {
      paint.fillStyle = this.color("accent");
      paint.fillRect(this.x(shown.event.t) - 0.75, AXIS - 4, 1.5, height);
    }
  }

  near(happened) {
    const box = this.canvas.getBoundingClientRect();
    const at = Math.floor((happened.clientY - box.top + this.scroller.scrollTop - AXIS) / LANE);
    const session = this.lanes[at];
    if (!session || happened.clientY - box.top < AXIS) return null;
    const x = happened.clientX - box.left;
    if (x < this.gutter) return { session, event: null };
    let best = null;
    let least = NEAR;
    for (const event of session.events) {
      const far = Math.abs(this.x(event.t) - x);
      if (far < least) [best, least] = [event, far];
    }
    return best ? { session, event: best } : null;
  }

  hover(happened) {
    const found = this.near(happened);
    this.tip.hidden = !found;
    this.canvas.style.cursor = found ? "pointer" : "default";
    if (!found) return;
    const { session, event } = found;
    const said = event ? [`#${event.q} ${whoOf(event)}`, moment(event.t), event.u ? usageCost(event.u) : null] : [nameOf(session), costOf(session.whole)];
    this.tip.textContent = said.filter(Boolean).join(" · ");
    const box = this.scroller.getBoundingClientRect();
    this.tip.style.left = `${Math.min(happened.clientX - box.left + 12, box.width - 260)}px`;
    this.tip.style.top = `${happened.clientY - box.top + 16}px`;
  }
}

const TICKS = { user: "user", assistant: "assistant", call: "call", system: "system", summary: "summary", other: "quiet" };
