// What a row of the list looks like.

const SHOWN_CHARACTERS = 1_200;
const SHOWN_PARTS = 12;
const PREVIEW = 160;

function cardOf(row) {
  const card = CARDS[row.kind](row);
  card.classList.add("row");
  card.style.setProperty("--depth", Math.min(row.depth, 8));
  return card;
}

const CARDS = {
  session: sessionCard,
  event: eventCard,
  run: runRow,
  gap: (row) => el("div", { class: "mark gap" }, el("i"), el("span", null, `idle for ${duration(row.length)}`), el("i")),
  earlier: (row) =>
    el("div", { class: "mark" }, el("span", null, `${counted(row.session.earlier, "earlier event")} left out of this page`)),
  hidden: hiddenRow,
};

function toggled(key, label, more) {
  const isOpen = ui.unfolded.has(key);
  return el(
    "button",
    { type: "button", class: "link", "aria-expanded": String(isOpen), ...more, onclick: () => unfold(key) },
    label(isOpen),
  );
}

function unfold(key) {
  if (ui.unfolded.has(key)) ui.unfolded.delete(key);
  else ui.unfolded.add(key);
  list.rebuild();
}

const chip = (text, kind, title) => el("span", { class: `chip ${kind || ""}`, title }, text);

/** Return a text, of a very long one its beginning, with how much more there is. */
function textBlock(ref, key, className) {
  const length = lengthOf(ref);
  const isLong = length > SHOWN_CHARACTERS;
  const isOpen = !isLong || ui.unfolded.has(key);
  const shown = isOpen ? fullOf(ref) : windowOf(ref);
  const block = el("div", { class: `text ${className || ""}`, dir: "auto" }, marked(shown));
  if (!isLong) return [block];
  const label = (open) => (open ? "Show less" : `Show all ${characters(length)}`);
  return [block, toggled(key, label)];
}

/** Return the beginning of a long text, or what lies around the words that are searched for. */
function windowOf(ref) {
  const beginning = beginningOf(ref, SHOWN_CHARACTERS);
  if (!ui.query || beginning.toLowerCase().includes(ui.query)) return `${beginning.slice(0, SHOWN_CHARACTERS / 2)} …`;
  const full = fullOf(ref);
  const at = full.toLowerCase().indexOf(ui.query);
  if (at < 0) return `${beginning.slice(0, SHOWN_CHARACTERS / 2)} …`;
  return `… ${full.slice(Math.max(0, at - 200), at + 400)} …`;
}

function codeBlock(text, key) {
  return textBlock(text, key, "code");
}

function eventCard(row) {
  const { event } = row;
  const { session } = event;
  const kind = event.y === "summary" ? "summary" : event.w || "other";
  const classes = ["card", kind, event.r && "retracted", event.coveredBy && "covered", event.error && "failed"];
  const card = el("article", { class: classes.filter(Boolean).join(" "), "aria-label": spokenOf(event) });
  add(
    card,
    el(
      "header",
      null,
      anchor(session, event.q),
      el("h3", null, whoOf(event)),
      event.n ? chip(event.n, "plain") : null,
      stateChips(event),
      el("span", { class: "grow" }),
      event.u ? usageLine(event.u) : null,
      el("time", { title: moment(event.t), datetime: new Date(event.t).toISOString() }, offset(event.t - sessions[0].span[0])),
      el("span", { class: "tools" }, copyButton("Markdown", () => eventMarkdown(event)), copyButton("JSON", () => eventJson(event))),
    ),
  );
  if (event.z) add(card, compactionLine(session, event));
  const parts = event.parts.slice(0, ui.unfolded.has(`p${event.key}`) ? undefined : SHOWN_PARTS);
  parts.forEach((part, at) => add(card, partBlock(event, part, at)));
  if (event.parts.length > SHOWN_PARTS) {
    add(card, toggled(`p${event.key}`, (open) => (open ? "Show fewer parts" : `Show all ${event.parts.length} parts`)));
  }
  if (!event.parts.length && event.o !== undefined) add(card, codeBlock(jsonText(event.o), `o${event.key}`));
  if (!event.parts.length && event.o === undefined) add(card, el("p", { class: "quiet" }, emptyText(event)));
  add(card, metadataBlock(event));
  return card;
}

function emptyText(event) {
  return event.y === "usage" ? "Usage alone: the event that it came with was refused." : "Nothing was said.";
}

function whoOf(event) {
  if (event.y === "summary") return "Summary";
  if (event.w === undefined) return event.y;
  if (event.w === "other") return event.o && !isReference(event.o) && typeof event.o.role === "string" ? event.o.role : "other";
  return event.w;
}

const spokenOf = (event) => `Event ${event.q}, ${whoOf(event)}${event.r ? ", retracted" : ""}${event.error ? ", error" : ""}`;

function stateChips(event) {
  const metadata = event.m || {};
  const agent = event.w === "user" || event.w === "system" ? "" : agentNameOf(event);
  return [
    agent ? chip(agent, "agent", "Agent") : null,
    event.r ? chip("retracted", "warn") : null,
    event.coveredBy ? chip(`in summary #${event.coveredBy.q}`, "note", "A model is given the summary in place of this") : null,
    event.session.fork && event.q <= event.session.fork.seq ? chip("inherited", "note", `From ${event.session.fork.id}`) : null,
    metadata.interrupted === true ? chip("interrupted", "error") : null,
    typeof metadata.error_type === "string" ? chip(metadata.error_type, "error") : null,
    event.x ? chip(`${event.x} redacted`, "warn", "Secrets that were left out of this page") : null,
    event.isAnswer ? chip("answer", "good", "The last word before the user speaks again") : null,
  ];
}

function usageLine(usage) {
  const tokens = `${short(usage.in)} in${usage.cache ? ` (${short(usage.cache)} cached)` : ""} · ${short(usage.out)} out`;
  const more = [usage.provider, usage.tier, usage.basis && `tokens ${usage.basis}`, usage.by && `priced by ${usage.by}`];
  return el(
    "span",
    { class: "usage", title: more.filter(Boolean).join(", ") || null },
    usage.model ? el("span", { class: "model" }, marked(usage.model)) : null,
    el("span", null, usage.basis === "unknown" ? "tokens unknown" : tokens),
    el("b", { class: usage.cost === undefined ? "unknown" : "" }, usageCost(usage)),
  );
}

function anchor(session, seq) {
  return el("a", { class: "seq", href: hashOf(session, seq), title: "Link to this event" }, `#${seq}`);
}

function hashOf(session, seq) {
  return session.index ? `#${encodeURIComponent(session.id)}/${seq}` : `#${seq}`;
}

function copyButton(label, make, text) {
  const button = el("button", { type: "button", class: text ? "link" : "quiet small", title: `Copy as ${label}` }, text || label);
  button.addEventListener("click", () => copy(make(), button));
  return button;
}

function compactionLine(session, event) {
  const { first, last, events: count, generation, method } = event.z;
  const isInForce = session.covered && session.covered[0] === event.q;
  return el(
    "p",
    { class: "about" },
    `Stands for ${counted(count, "event")}, `,
    anchor(session, first),
    " to ",
    anchor(session, last),
    `, which are kept above. Made by ${method}${generation > 1 ? `, of an earlier summary (${generation})` : ""}. `,
    isInForce ? chip("in force", "good") : chip("not in force", "note"),
  );
}

function partBlock(event, part, at) {
  const key = `${event.key}:${at}`;
  switch (part[0]) {
    case "text":
      return textBlock(part[1], key);
    case "instruction":
      return [el("span", { class: "label" }, "Instruction"), ...textBlock(part[1], key)];
    case "reasoning":
      return [el("span", { class: "label" }, "Reasoning"), ...reasoningBlock(part, key)];
    case "media":
      return mediaBlock(part, key);
    case "json":
      return codeBlock(jsonText(part[1]), key);
    case "call":
      return [toolCard(event, part, at, key)];
    case "result":
      return [resultCard(event, part, key)];
    case "opaque":
      return [el("span", { class: "label" }, `For its provider alone: ${part[1]}`), ...rawBlock(part[2], key)];
    default:
      return [el("span", { class: "label" }, "Of no known form"), codeBlock(jsonText(part[1]), key)];
  }
}

function reasoningBlock(part, key) {
  return lengthOf(part[1]) ? textBlock(part[1], key, "reasoning") : [el("p", { class: "quiet" }, "The provider keeps it to itself.")];
}

function rawBlock(value, key) {
  const isOpen = ui.unfolded.has(key);
  return [toggled(key, (open) => (open ? "Hide" : "Show as JSON")), ...(isOpen ? codeBlock(jsonText(value), `${key}:raw`) : [])];
}

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

function mediaBlock([, kind, mime, name, url, bytes, said], key) {
  const size = bytes === null ? null : `${characters(lengthOf(bytes))} of base64`;
  const place = url === null ? null : beginningOf(url, 300);
  const label = [kind, mime, name, size].filter(Boolean).join(", ");
  const made = [el("p", { class: "about" }, chip(label, "plain"), place && !place.startsWith("data:") ? ` ${place}` : null)];
  const source = pictureOf(mime, url, bytes);
  if (source) {
    made.push(toggled(key, (open) => (open ? "Hide the picture" : "Show the picture")));
    if (ui.unfolded.has(key)) made.push(el("img", { src: source(), alt: name || kind, class: "picture" }));
  }
  return said === null ? made : [...made, ...textBlock(said, `${key}:text`)];
}

/** Return what makes the address of a picture that is in the page; there is none for what would have to be loaded. */
function pictureOf(mime, url, bytes) {
  if (bytes !== null && PICTURES.has(mime)) return () => `data:${mime};base64,${fullOf(bytes)}`;
  const begin = url === null ? "" : beginningOf(url, 40);
  return [...PICTURES].some((type) => begin.startsWith(`data:${type};base64,`)) ? () => fullOf(url) : null;
}

/** A call with its result: what was asked, what came back, how long that took, and how large it is. */
function toolCard(event, part, at, key) {
  const [, id, name, given, isHosted] = part;
  const answer = event.answeredBy && event.answeredBy.get(at);
  const result = answer && answer.event.parts[answer.part];
  const isOpen = ui.unfolded.has(key) || ((ui.query || isHit(event)) && toolHas(part, result));
  const took = answer && answer.event !== event ? answer.event.t - event.t : null;
  const size = result ? resultLength(result) : null;
  const preview = el("span", { class: "preview" }, `(${oneLine(argumentsText(given), PREVIEW)})`);
  const head = el(
    "button",
    { type: "button", class: "tool-head", "aria-expanded": String(!!isOpen), onclick: () => unfold(key) },
    el("span", { class: "twist", "aria-hidden": "true" }),
    el("span", { class: "tool-name" }, marked(name)),
    isOpen ? null : preview,
    el("span", { class: "grow" }),
    isHosted ? chip("run by the provider", "note") : null,
    result && result[3] ? chip("error", "error") : null,
    result ? null : chip("no result", "warn"),
    size === null ? null : el("span", { class: "figure" }, characters(size)),
    took === null ? null : el("span", { class: "figure" }, duration(took)),
  );
  const card = el("div", { class: `tool${result && result[3] ? " failed" : ""}` }, head);
  if (!isOpen) {
    if (result) add(card, el("div", { class: "tool-peek" }, oneLine(resultText(result, PREVIEW * 2), PREVIEW * 2)));
    return card;
  }
  add(card, el("span", { class: "label" }, id ? `Arguments (${id})` : "Arguments"), codeBlock(argumentsText(given), `${key}:a`));
  if (result) {
    const where = answer.event === event ? "Result" : `Result #${answer.event.q}`;
    add(card, el("span", { class: "label" }, where), contentBlocks(result, `${key}:r`));
    const answerChips = answer.event.r ? [chip("retracted", "warn")] : [];
    add(card, answerChips, metadataBlock(answer.event));
  }
  return card;
}

const isHit = (event) => ui.hits[ui.hit] && ui.hits[ui.hit].event && (ui.hits[ui.hit].event === event || ui.hits[ui.hit].event.absorbedBy === event);

function toolHas(part, result) {
  return ui.query && (partHas(part, ui.query) || (result && partHas(result, ui.query)));
}

function resultCard(event, part, key) {
  const [, id, name, isError, , call] = part;
  const title = name || id || "a call";
  return el(
    "div",
    { class: `tool${isError ? " failed" : ""}` },
    el(
      "div",
      { class: "tool-head still" },
      el("span", { class: "tool-name" }, "Result of ", marked(title)),
      el("span", { class: "grow" }),
      isError ? chip("error", "error") : null,
      call ? anchor(event.session, call[0]) : chip("no call", "warn"),
      el("span", { class: "figure" }, characters(resultLength(part))),
    ),
    contentBlocks(part, key),
  );
}

function contentBlocks(result, key) {
  const shown = result[4].slice(0, SHOWN_PARTS);
  const blocks = shown.flatMap((part, at) => contentBlock(part, `${key}:${at}`));
  const left = result[4].length - shown.length;
  return blocks.length ? [...blocks, left ? el("p", { class: "quiet" }, `${left} more parts: copy as JSON`) : null] : [el("p", { class: "quiet" }, "Nothing came back.")];
}

function contentBlock(part, key) {
  switch (part[0]) {
    case "text":
      return codeBlock(laidOut(part[1]), key);
    case "media":
      return mediaBlock(part, key);
    case "json":
      return codeBlock(jsonText(part[1]), key);
    case "opaque":
      return rawBlock(part[2], key);
    default:
      return codeBlock(jsonText(part), key);
  }
}

/** Return a short text that is JSON laid out, any other as it is. */
function laidOut(ref) {
  const begin = beginningOf(ref, 1);
  if (lengthOf(ref) > SHOWN_CHARACTERS || (begin !== "{" && begin !== "[")) return ref;
  return argumentsText(ref);
}

function resultLength(result) {
  return result[4].reduce((sum, part) => sum + partLength(part), 0);
}

function partLength(part) {
  if (part[0] === "text") return lengthOf(part[1]);
  if (part[0] === "media") return part[5] === null ? 0 : lengthOf(part[5]);
  return JSON.stringify(plain(part[1])).length;
}

function resultText(result, most) {
  return result[4].map((part) => (part[0] === "text" ? beginningOf(part[1], most) : `[${part[0]}]`)).join(" ");
}

const oneLine = (text, most) => {
  const line = text.slice(0, most * 2).replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most)} …` : line;
};

function metadataBlock(event) {
  const metadata = event.m ? { ...event.m } : {};
  if (event.z) delete metadata.compaction;
  if (isEmpty(metadata)) return [];
  const key = `m${event.key}`;
  const names = Object.keys(metadata).map((name) => (name.startsWith("$") ? name.slice(1) : name));
  const isOpen = ui.unfolded.has(key) || (ui.query && valueHas(metadata, ui.query));
  const label = `${isOpen ? "Hide" : "Show"} metadata: ${oneLine(names.join(", "), 80)}`;
  const button = el("button", { type: "button", class: "link", "aria-expanded": String(!!isOpen), onclick: () => unfold(key) }, label);
  return isOpen ? [button, codeBlock(jsonText(metadata), `${key}:v`)] : [button];
}

function runRow({ session, run }) {
  const took = run.start && run.end ? duration(run.end - run.start) : null;
  const kind = { completed: "good", failed: "error", cancelled: "warn" }[run.status] || "note";
  const error = [run.error_type, run.error === undefined ? null : fullOf(run.error)].filter(Boolean).join(": ");
  const key = `r${session.index}:${run.id}`;
  const hasMore = run.metadata !== undefined || error.length > 200;
  return el(
    "div",
    { class: "mark run", role: "group", "aria-label": `Run ${run.agent || run.id}` },
    el("span", { class: "run-name" }, "Run ", el("b", null, marked(run.agent || run.id))),
    chip(run.status, kind),
    run.agent ? el("span", { class: "quiet" }, marked(oneLine(run.id, 40))) : null,
    took ? el("span", { class: "figure" }, took) : null,
    run.spent ? el("span", { class: "figure" }, costOf(run.spent)) : null,
    error ? el("span", { class: "run-error" }, marked(ui.unfolded.has(key) ? error : oneLine(error, 200))) : null,
    hasMore ? toggled(key, (open) => (open ? "Less" : "More")) : null,
    hasMore && ui.unfolded.has(key) && run.metadata !== undefined ? codeBlock(jsonText(run.metadata), `${key}:m`) : null,
  );
}

function hiddenRow({ key, events: some }) {
  const from = some[0].q;
  const to = some[some.length - 1].q;
  const range = from === to ? `#${from}` : `#${from} to #${to}`;
  return el(
    "div",
    { class: "mark retracted-mark" },
    el("span", null, `${counted(some.length, "event")} retracted (${range}): hidden from models, and what they used was spent`),
    toggled(key, (open) => (open ? "Hide" : "Show")),
  );
}

function sessionCard({ session, isOpen }) {
  const key = `d${session.index}`;
  const isTop = !session.index;
  const agent = agentOf(session);
  const running = session.runs.filter((run) => !["completed", "failed", "cancelled"].includes(run.status));
  const title = el("span", { class: "session-name", dir: "auto" }, marked(nameOf(session)));
  const opener = isTop
    ? title
    : el(
        "button",
        { type: "button", class: "tool-head", "aria-expanded": String(!!isOpen), onclick: () => toggleSession(session) },
        el("span", { class: "twist", "aria-hidden": "true" }),
        title,
      );
  const [from, to] = session.span;
  return el(
    "section",
    { class: `session${isTop ? " top" : ""}${session.fork ? " fork" : ""}`, "aria-label": `Session ${nameOf(session)}` },
    el(
      "header",
      null,
      el("a", { class: "seq", href: isTop ? "#/" : `#${encodeURIComponent(session.id)}/`, title: "Link to this session" }, session.fork ? "↱" : "§"),
      el("h2", null, opener),
      agent ? chip(agent, "agent", "Agent") : null,
      session.title === null || isTop ? null : el("code", { class: "quiet", dir: "auto" }, marked(oneLine(session.id, 40))),
      session.fork ? chip(`fork of ${oneLine(session.fork.id, 40)} at #${session.fork.seq}`, "note") : null,
      hidesOf(session) ? chip(`hides ${oneLine(hidesOf(session), 40)} of it`, "warn", "Inherited events that are retracted in this session") : null,
      running.map((run) => chip(run.status, "note")),
      session.wholeErrors ? chip(counted(session.wholeErrors, "error"), "error") : null,
      el("span", { class: "grow" }),
      el("span", { class: "figure" }, counted(session.events.length, "event")),
      el("span", { class: "figure" }, duration(to - from)),
      el("b", { class: "figure" }, costOf(session.whole)),
    ),
    el(
      "p",
      { class: "about" },
      session.children.length ? `${costOf(session.spent)} of it here, the rest in ${counted(session.children.length, "session")} right below. ` : null,
      toggled(key, (open) => (open ? "Hide details" : "Details")),
      copyButton("Markdown", () => sessionMarkdown(session), "Copy as Markdown"),
      isTop || isOpen ? null : el("button", { type: "button", class: "link", onclick: () => toggleSession(session) }, "Show its events here"),
    ),
    ui.unfolded.has(key) || (ui.query && sessionHas(session, ui.query)) ? sessionDetails(session) : null,
  );
}

/** Which of the events that a fork inherits it does not show; null for none. */
function hidesOf({ hides }) {
  if (!hides || !hides.length) return null;
  return hides.map(([from, to]) => (from === to ? `#${from}` : `#${from} to #${to}`)).join(", ");
}

function toggleSession(session) {
  const key = `s${session.index}`;
  if (ui.opened.has(key)) ui.opened.delete(key);
  else ui.opened.add(key);
  list.rebuild();
}

function sessionDetails(session) {
  const rows = [
    ["Id", session.id],
    ["Below", session.parent],
    ["Fork of", session.fork ? `${session.fork.id} at #${session.fork.seq}` : null],
    ["Hides of it", hidesOf(session)],
    ["Created", moment(session.created)],
    ["Active", moment(session.updated)],
    ["Events", `${whole(session.last)} in the log, revision ${whole(session.revision)}`],
    ["Tokens", `${whole(session.spent.in)} in (${whole(session.spent.cache)} cached), ${whole(session.spent.out)} out`],
    ["Cost", `${costOf(session.spent)} here, ${costOf(session.whole)} with all below`],
  ].filter(([, value]) => value !== null && value !== undefined);
  const key = `d${session.index}`;
  const tools = toolDefinitionsOf(session);
  return el(
    "div",
    { class: "details" },
    el("dl", null, rows.map(([name, value]) => [el("dt", null, name), el("dd", { dir: "auto" }, marked(String(value)))])),
    session.models.length ? modelTable(session.models.slice(0, 30)) : null,
    isEmpty(session.properties) ? null : [el("span", { class: "label" }, "Properties"), codeBlock(jsonText(session.properties), `${key}:p`)],
    isEmpty(session.state) ? null : [el("span", { class: "label" }, "State"), codeBlock(jsonText(session.state), `${key}:s`)],
    tools.length ? [el("span", { class: "label" }, `Tool definitions (${tools.length})`), codeBlock(JSON.stringify(tools, null, 2), `${key}:t`)] : null,
  );
}

/** Return the tool definitions that events, runs, properties and state hold under `tools`, each once. */
function toolDefinitionsOf(session) {
  const found = new Map();
  const holders = [session.properties, session.state, ...session.runs.map((run) => run.metadata), ...session.events.map((event) => event.m)];
  for (const holder of holders) {
    const tools = holder && Array.isArray(holder.tools) ? holder.tools : [];
    for (const tool of tools) found.set(JSON.stringify(tool), tool);
  }
  return [...found.values()].slice(0, 200).map(plain);
}

function modelTable(models) {
  const cells = ([name, tally]) =>
    [name || "no model named", whole(tally.requests), short(tally.in), short(tally.out), costOf(tally)].map((text, at) =>
      el(at ? "td" : "th", at ? null : { scope: "row" }, text),
    );
  const heads = ["Model", "Requests", "In", "Out", "Cost"].map((text) => el("th", { scope: "col" }, text));
  return el("table", null, el("thead", null, el("tr", null, heads)), el("tbody", null, models.map((each) => el("tr", null, cells(each)))));
}

function eventJson(event) {
  const message = event.o !== undefined ? plain(event.o) : messageOf(event);
  return JSON.stringify(
    { id: event.i, seq: event.q, session_id: event.session.id, source: event.s, type: event.y, timestamp: new Date(event.t).toISOString(), task_id: event.k || null, retracted: !!event.r, message, metadata: event.m ? plain(event.m) : {}, usage: event.u || null },
    null,
    2,
  );
}

function messageOf(event) {
  if (!event.parts.length) return null;
  const text = event.parts.map((part) => fullOf(part[1])).join("");
  return event.c ? { role: event.w, content: text } : text;
}
