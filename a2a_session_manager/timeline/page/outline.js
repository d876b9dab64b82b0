// Which rows the list has: the events of the top session, and of all sessions that are opened in it.

const ui = {
  query: "",
  hits: [],
  hit: -1,
  kinds: new Set(),
  errorsOnly: false,
  agent: "",
  leastCost: 0n,
  focused: false,
  opened: new Set(["s0"]), // sessions, as s and their index
  unfolded: new Set(), // what of a card is shown as a whole, by keys of its own
};

const KINDS = [
  ["user", "User"],
  ["assistant", "Assistant"],
  ["call", "Tools"],
  ["system", "System"],
  ["summary", "Summaries"],
  ["other", "Other"],
];

function kindsOf(event) {
  const kinds = [];
  if (event.y === "summary") kinds.push("summary");
  else if (event.parts.some((part) => part[0] === "call" || part[0] === "result")) kinds.push("call");
  if (["user", "assistant", "system"].includes(event.w) && event.y !== "summary") {
    if (!kinds.length || event.parts.some((part) => part[0] === "text" && lengthOf(part[1]))) kinds.push(event.w);
  }
  return kinds.length ? kinds : ["other"];
}

const isFiltered = () => ui.kinds.size || ui.errorsOnly || ui.agent || ui.leastCost || ui.focused;

function agentNameOf(event) {
  const run = event.session.runById.get(event.k);
  return (run && run.agent) || agentOf(event.session) || "";
}

function answersOf(event) {
  return event.answeredBy ? [...event.answeredBy.values()].map((answer) => answer.event) : [];
}

function isWanted(event) {
  if (ui.focused && !isPrompt(event) && !event.isAnswer) return false;
  if (ui.kinds.size && !kindsOf(event).some((kind) => ui.kinds.has(kind))) return false;
  if (ui.errorsOnly && !event.error && !answersOf(event).some((each) => each.error)) return false;
  if (ui.agent && agentNameOf(event) !== ui.agent) return false;
  if (ui.leastCost && !(event.u && event.u.cost !== undefined && BigInt(event.u.cost) >= ui.leastCost)) return false;
  return true;
}

/** Return the rows of the list: each has a kind, a key, and how deep it lies. */
function rowsOf() {
  const rows = [];
  const filtered = isFiltered();
  const wanted = filtered ? wantedSessions() : null;
  addInner(rows, sessions[0], 0, filtered, wanted);
  return rows;
}

function wantedSessions() {
  const wanted = new Set();
  for (const session of sessions) {
    if (!session.events.some((event) => !event.absorbedBy && isWanted(event)) && !(ui.errorsOnly && session.errors)) continue;
    for (let each = session; each; each = sessions[each.parentIndex]) wanted.add(each);
  }
  return wanted;
}

function addInner(rows, session, depth, filtered, wanted) {
  if (wanted && session.index && !wanted.has(session)) return;
  const isOpen = filtered ? !wanted || wanted.has(session) : ui.opened.has(`s${session.index}`);
  rows.push({ kind: "session", key: `s${session.index}`, session, depth, isOpen });
  if (!isOpen) return;
  const inner = session.index ? depth + 1 : 0;
  if (session.earlier) rows.push({ kind: "earlier", key: `b${session.index}`, session, depth: inner });
  new Outline(rows, session, inner, filtered, wanted).add();
}

/** Adds the rows inside a session. */
class Outline {
  constructor(rows, session, depth, filtered, wanted) {
    Object.assign(this, { rows, session, depth, filtered, wanted, seenRuns: new Set(), before: null, hidden: null });
  }

  add() {
    this.addChildren("");
    for (const event of this.session.events) {
      if (!event.absorbedBy) this.addEvent(event);
      this.before = event;
    }
    this.session.runs.forEach((run) => this.addRun(run));
  }

  addEvent(event) {
    const { rows, depth, filtered } = this;
    this.addRun(this.session.runById.get(event.k));
    if (!filtered && this.before && event.t - this.before.t > IDLE) {
      rows.push({ kind: "gap", key: `g${event.key}`, depth, length: event.t - this.before.t });
    }
    if (!filtered && event.r) this.addHidden(event);
    else if (!filtered || isWanted(event)) {
      this.hidden = null;
      rows.push({ kind: "event", key: event.key, event, depth });
    }
    this.addChildren(event.key);
  }

  /** Events that were retracted one after the other are one row, until somebody wants to see them. */
  addHidden(event) {
    if (!this.hidden) {
      this.hidden = { kind: "hidden", key: `h${event.key}`, depth: this.depth, events: [] };
      this.rows.push(this.hidden);
    }
    this.hidden.events.push(event);
    if (ui.unfolded.has(this.hidden.key)) this.rows.push({ kind: "event", key: event.key, event, depth: this.depth });
  }

  /** A run stands before its first event, and before the first session that it has opened. */
  addRun(run) {
    if (!run || this.seenRuns.has(run.id)) return;
    this.seenRuns.add(run.id);
    if (this.filtered && !(ui.errorsOnly && run.status === "failed")) return;
    this.rows.push({ kind: "run", key: `r${this.session.index}:${run.id}`, session: this.session, run, depth: this.depth });
  }

  addChildren(key) {
    for (const child of this.session.childrenAt.get(key) || []) {
      const opener = (child.properties || {}).parent_run_id;
      if (typeof opener === "string") this.addRun(this.session.runById.get(opener));
      addInner(this.rows, child, this.depth, this.filtered, this.wanted);
    }
  }
}

/** Open all that lies above an event or a session, so that the list has a row for it; return the key of that row. */
function reveal(session, event) {
  for (let each = sessions[session.parentIndex]; each; each = sessions[each.parentIndex]) ui.opened.add(`s${each.index}`);
  if (!event) return `s${session.index}`;
  ui.opened.add(`s${session.index}`);
  const shown = event.absorbedBy || event;
  if (shown.r) {
    const at = session.events.indexOf(shown);
    let first = at;
    while (first > 0 && (session.events[first - 1].r || session.events[first - 1].absorbedBy)) first -= 1;
    while (session.events[first].absorbedBy) first += 1;
    ui.unfolded.add(`h${session.events[first].key}`);
  }
  return shown.key;
}
