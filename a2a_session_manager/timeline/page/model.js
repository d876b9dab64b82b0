// What the page holds: sessions, their events, and what belongs to what. All of it is data of strangers.

const data = JSON.parse(document.getElementById("data").textContent);
const texts = data.texts;

/** A text is a string, or a reference {"$": number}; a long one is [its length, its beginning] with a block apart. */
const heldOf = (ref) => (typeof ref === "string" ? ref : texts[ref.$]);

function lengthOf(ref) {
  const held = heldOf(ref);
  return typeof held === "string" ? held.length : held[0];
}

function beginningOf(ref, most) {
  const held = heldOf(ref);
  return (typeof held === "string" ? held : held[1]).slice(0, most);
}

function fullOf(ref) {
  const held = heldOf(ref);
  return typeof held === "string" ? held : JSON.parse(document.getElementById(`text-${ref.$}`).textContent);
}

const isReference = (value) => typeof value.$ === "number";

/** Return a value with its texts in it. Objects have no prototype: a key may be called __proto__. */
function plain(value) {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (isReference(value)) return fullOf(value);
  const made = Object.create(null);
  for (const key of Object.keys(value)) made[key.startsWith("$") ? key.slice(1) : key] = plain(value[key]);
  return made;
}

const isEmpty = (value) => value === null || value === undefined || (typeof value === "object" && !Object.keys(value).length);

const TALLY = ["requests", "unpriced", "partly", "unknown", "repeated", "in", "out", "cache", "written", "reasoning"];

function sumOf(tallies) {
  const sum = Object.fromEntries(TALLY.map((name) => [name, 0]));
  let cost = 0n;
  for (const tally of tallies) {
    for (const name of TALLY) sum[name] += tally[name];
    cost += BigInt(tally.cost);
  }
  return { ...sum, cost: String(cost) };
}

const sessions = [];
const sessionById = new Map();

/** Where idle time begins: what is longer is folded, and is no active time. */
const IDLE = 60_000;

function addSession(row) {
  const session = { ...row, index: sessions.length, parentIndex: null, children: [], depth: 0 };
  const parent = sessionById.get(row.parent);
  if (parent !== undefined && sessions.length) {
    session.parentIndex = parent.index;
    session.depth = parent.depth + 1;
    parent.children.push(session);
  }
  sessions.push(session);
  sessionById.set(session.id, session);
  session.events.forEach((event) => prepare(session, event));
  return session;
}

function prepare(session, event) {
  event.session = session;
  event.key = `${session.index}:${event.q}`;
  event.parts = event.p || [];
  event.answeredBy = null; // by the place of a call: the event and the part that answer it
  event.absorbedBy = null; // the event whose card shows this one, too
}

/** Work out, for a session, what depends on several events. */
function relate(session) {
  const { events } = session;
  session.bySeq = new Map(events.map((event, at) => [event.q, at]));
  session.runById = new Map(session.runs.map((run) => [run.id, run]));
  for (const event of events) {
    event.answeredBy = null;
    event.absorbedBy = null;
  }
  const open = new Map();
  for (const event of events) joinResults(session, event, open);
  session.errors = session.runs.filter((run) => run.status === "failed").length;
  session.calls = 0;
  for (const event of events) {
    event.error = isError(event);
    if (event.error) session.errors += 1;
    session.calls += event.parts.filter((part) => part[0] === "call").length;
  }
  session.retries = retriesIn(session);
  session.compactions = events.filter((event) => event.z && !event.r).length;
  session.retracted = events.filter((event) => event.r).length;
  markCovered(session);
  session.prompts = events.filter(isPrompt);
  markAnswers(session);
  placeChildren(session);
}

function joinResults(session, event, open) {
  let joined = 0;
  let asking = null;
  event.parts.forEach((part, at) => {
    if (part[0] === "call" && part[1]) open.set(part[1], [event.q, at]);
    if (part[0] !== "result") return;
    const call = part[5] || open.get(part[1]);
    const asked = call && eventAt(session, call[0]);
    if (!asked) return;
    asked.answeredBy = asked.answeredBy || new Map();
    asked.answeredBy.set(call[1], { event, part: at });
    joined += 1;
    asking = asked;
  });
  if (joined && joined === event.parts.length && asking !== event && !event.r === !asking.r) event.absorbedBy = asking;
}

function eventAt(session, seq) {
  return session.events[session.bySeq.get(seq)];
}

/** Whether the user says something; a summary may speak as the user, too. */
const isPrompt = (event) => event.w === "user" && event.y !== "summary" && !event.r && !event.absorbedBy;

function isError(event) {
  const metadata = event.m || {};
  return event.parts.some((part) => part[0] === "result" && part[3]) || !!metadata.error_type || metadata.interrupted === true;
}

/** Count the calls that repeat one that has failed: the same tool with the same arguments. */
function retriesIn(session) {
  const failed = new Set();
  let count = 0;
  for (const event of session.events) {
    event.parts.forEach((part, at) => {
      if (part[0] !== "call") return;
      const key = JSON.stringify([part[2], part[3]]);
      if (failed.has(key)) count += 1;
      const answer = event.answeredBy && event.answeredBy.get(at);
      if (answer && answer.event.parts[answer.part][3]) failed.add(key);
      else failed.delete(key);
    });
  }
  return count;
}

/** Mark the events that the compaction in force stands for. */
function markCovered(session) {
  const summary = session.covered && eventAt(session, session.covered[0]);
  for (const event of session.events) {
    const isInside = summary && summary.z && event.q >= summary.z.first && event.q <= summary.z.last;
    const isPinned = isInside && summary.z.pins.some(([first, last]) => event.q >= first && event.q <= last);
    event.coveredBy = isInside && !isPinned && !event.r ? summary : null;
  }
}

/** Mark the last thing that the assistant says before the user speaks again. */
function markAnswers(session) {
  let last = null;
  for (const event of session.events) {
    event.isAnswer = false;
    if (event.r || event.y === "summary") continue;
    if (isPrompt(event)) {
      if (last) last.isAnswer = true;
      last = null;
    } else if (event.w === "assistant" && event.parts.some((part) => part[0] === "text" && lengthOf(part[1]))) last = event;
  }
  if (last) last.isAnswer = true;
}

/** Put each child after the event after which it was made, and each fork after the one that it goes on from. */
function placeChildren(session) {
  session.childrenAt = new Map();
  for (const child of session.children) {
    const began = child.events.length ? Math.min(child.created, child.events[0].t) : child.created;
    let at = -1;
    session.events.forEach((event, index) => {
      const isBefore = child.fork && child.fork.id === session.id ? event.q <= child.fork.seq : event.t <= began;
      if (isBefore) at = index;
    });
    let event = session.events[at];
    if (event && event.absorbedBy) event = event.absorbedBy;
    const key = event ? event.key : "";
    session.childrenAt.set(key, [...(session.childrenAt.get(key) || []), child]);
  }
}

function spanOf(session) {
  let from = Infinity;
  let to = -Infinity;
  for (const event of session.events) {
    from = Math.min(from, event.t);
    to = Math.max(to, event.t);
  }
  for (const run of session.runs) {
    if (run.start) from = Math.min(from, run.start);
    if (run.end) to = Math.max(to, run.end);
  }
  return from === Infinity ? [session.created, session.created] : [from, to];
}

/** Return the time that a sequence of moments takes, without what is idle. */
function activeTime(moments) {
  const sorted = Float64Array.from(moments).sort();
  let active = 0;
  for (let at = 1; at < sorted.length; at += 1) {
    const step = sorted[at] - sorted[at - 1];
    if (step <= IDLE) active += step;
  }
  return active;
}

function* inTreeOrder(session) {
  yield session;
  for (const child of session.children) yield* inTreeOrder(child);
}

/** Work out everything anew: at the start, and when a live page learns more. */
function relateAll() {
  sessions.forEach(relate);
  for (let at = sessions.length - 1; at >= 0; at -= 1) {
    const session = sessions[at];
    session.whole = sumOf([session.spent, ...session.children.map((child) => child.whole)]);
    session.span = spanOf(session);
    session.wholeErrors = session.errors + session.children.reduce((sum, child) => sum + child.wholeErrors, 0);
  }
}

const nameOf = (session) => (session.title === null ? session.id : fullOf(session.title));
const agentOf = (session) => {
  const agent = (session.properties || {}).agent;
  return agent === undefined || agent === null ? null : typeof agent === "object" ? String(plain(agent)) : String(agent);
};

data.sessions.forEach(addSession);
relateAll();
