// The tree of sessions, with what each took and cost. Only those in sight are elements.

const ITEM = 46;

class Sidebar {
  constructor(scroller, holder) {
    Object.assign(this, { scroller, holder, order: [], current: 0 });
    scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(scroller);
    holder.addEventListener("keydown", (happened) => this.key(happened));
  }

  rebuild() {
    this.order = [...inTreeOrder(sessions[0])];
    this.holder.style.height = `${this.order.length * ITEM}px`;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ITEM) - 3);
    const last = Math.min(this.order.length, first + Math.ceil(this.scroller.clientHeight / ITEM) + 6);
    const hadFocus = this.holder.contains(document.activeElement);
    replace(this.holder, this.order.slice(first, last).map((session, at) => this.item(session, first + at)));
    if (hadFocus) this.focus();
  }

  item(session, at) {
    const [from, to] = session.span;
    const about = [costOf(session.whole), duration(to - from), session.wholeErrors ? counted(session.wholeErrors, "error") : null];
    const item = el(
      "button",
      {
        type: "button",
        role: "treeitem",
        class: `item${at === this.current ? " current" : ""}`,
        "aria-level": Math.min(session.depth, 200) + 1,
        "aria-selected": String(at === this.current),
        tabindex: at === this.current ? "0" : "-1",
        title: session.id,
        onclick: () => this.select(at),
      },
      el("span", { class: "item-name", dir: "auto" }, session.fork ? "↱ " : null, nameOf(session)),
      el("span", { class: `item-about${session.wholeErrors ? " has-errors" : ""}` }, about.filter(Boolean).join(" · ")),
    );
    item.style.top = `${at * ITEM}px`;
    item.style.paddingInlineStart = `${14 + Math.min(session.depth, 8) * 14}px`;
    item.dataset.at = at;
    return item;
  }

  select(at) {
    this.current = at;
    this.draw();
    go(this.order[at], null, { focus: false });
  }

  mark(session) {
    const at = this.order.indexOf(session);
    if (at < 0 || at === this.current) return;
    this.current = at;
    const top = at * ITEM;
    if (top < this.scroller.scrollTop || top + ITEM > this.scroller.scrollTop + this.scroller.clientHeight) {
      this.scroller.scrollTop = Math.max(0, top - this.scroller.clientHeight / 2);
    }
    this.draw();
  }

  key(happened) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[happened.key];
    if (!by) return;
    happened.preventDefault();
    this.current = Math.max(0, Math.min(this.order.length - 1, this.current + by));
    const top = this.current * ITEM;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    const bottom = top + ITEM - this.scroller.clientHeight;
    if (bottom > this.scroller.scrollTop) this.scroller.scrollTop = bottom;
    this.draw();
    this.focus();
  }

  focus() {
    const item = this.holder.querySelector(`[data-at="${this.current}"]`);
    if (item) item.focus({ preventScroll: true });
  }
}
