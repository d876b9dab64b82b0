// The page: what stands above the list, the keys, the links.

const list = new RowList(find("scroller"), find("rows"));
const lanes = new Lanes(find("lanes"), find("canvas"), find("tip"));
const sidebar = new Sidebar(find("tree-scroller"), find("tree"));

function showAll() {
  showSummary();
  showAgents();
  sidebar.rebuild();
  list.rebuild();
  lanes.rebuild();
}

function showSummary() {
  const top = sessions[0];
  find("title").textContent = nameOf(top);
  document.title = nameOf(top);
  replace(find("subtitle"), ...subtitleOf(top));
  replace(find("figures"), figuresOf(top).map(([name, value, more, kind]) => figure(name, value, more, kind)));
}

function subtitleOf(top) {
  const unfinished = top.runs.filter((run) => !["completed", "failed", "cancelled"].includes(run.status));
  const last = top.runs[top.runs.length - 1];
  const status = unfinished.length ? unfinished[unfinished.length - 1].status : last && last.status;
  const count = sessions.length - 1;
  return [
    el("code", { title: "The id of the session", dir: "auto" }, top.id),
    status ? chip(status, { completed: "good", failed: "error", cancelled: "warn" }[status] || "note", "The newest run") : null,
    count ? el("span", null, `with ${counted(count, "session")} below it`) : null,
    top.parent ? el("span", null, `below ${oneLine(top.parent, 60)}, in the tree of ${oneLine(top.root, 60)}`) : null,
    el("span", null, `as of ${moment(data.made)}`),
    data.no_bundle ? el("span", null, `no bundle inside: ${data.no_bundle}`) : null,
    el("span", { id: "live", class: "chip", role: "status", hidden: true }),
  ].filter(Boolean);
}

function figuresOf(top) {
  const { whole: all } = top;
  const moments = sessions.flatMap((session) => session.events.map((event) => event.t));
  const from = moments.reduce((least, each) => Math.min(least, each), Infinity);
  const to = moments.reduce((most, each) => Math.max(most, each), -Infinity);
  const sum = (name) => sessions.reduce((total, session) => total + session[name], 0);
  const deleted = BigInt(data.spent.cost) - BigInt(all.cost);
  const redacted = data.redacted && Object.values(data.redacted).reduce((total, each) => total + each, 0);
  const isTree = sessions.length > 1;
  const costs = [isTree ? `${costOf(top.spent)} in this session` : null, deleted > 0n ? `${dollars(String(deleted))} in deleted sessions` : null];
  const gone = BigInt(data.spent.cost) < BigInt(all.cost) ? all : data.spent;
  return [
    [isTree ? "Cost of the whole tree" : "Cost", costOf(gone), costs.filter(Boolean).join(", "), "main"],
    ["Tokens in", short(gone.in), gone.cache ? `${short(gone.cache)} from the cache` : ""],
    ["Tokens out", short(gone.out), gone.reasoning ? `${short(gone.reasoning)} reasoning` : ""],
    ["Requests", whole(gone.requests), requestsText(gone), gone.unpriced || gone.unknown ? "warn" : ""],
    ["Span", moments.length ? duration(to - from) : "–", moments.length ? `${duration(activeTime(moments))} active` : ""],
    ["Events", whole(sum("last") - sessions.reduce((total, session) => total + (session.index && session.fork ? session.fork.seq : 0), 0)), counted(sum("calls"), "tool call")],
    ["Errors", whole(sum("errors")), sum("retries") ? `${counted(sum("retries"), "call")} made again` : "", sum("errors") ? "error" : ""],
    sum("compactions") ? ["Compactions", whole(sum("compactions")), ""] : null,
    sum("retracted") ? ["Retracted", whole(sum("retracted")), "events"] : null,
    redacted ? ["Redacted", whole(redacted), Object.entries(data.redacted).map(([kind, count]) => `${count} × ${kind}`).join(", "), "warn"] : null,
    data.redacted === null ? ["Redacted", "off", "secrets would show", "warn"] : null,
    sum("earlier") ? ["Left out", whole(sum("earlier")), "earlier events", "warn"] : null,
  ].filter(Boolean);
}

function requestsText(tally) {
  const some = [
    tally.unpriced ? `${whole(tally.unpriced)} of unknown cost` : null,
    tally.partly ? `${whole(tally.partly)} priced in part` : null,
    tally.unknown ? `${whole(tally.unknown)} of unknown usage` : null,
    tally.repeated ? `${whole(tally.repeated)} told again` : null,
  ];
  return some.filter(Boolean).join(", ");
}

function figure(name, value, more, kind) {
  return el("div", { class: `figure-box ${kind || ""}` }, el("dt", null, name), el("dd", null, el("b", null, value), more ? el("span", { title: more }, more) : null));
}

function showAgents() {
  const agents = new Set(sessions.flatMap((session) => [agentOf(session), ...session.runs.map((run) => run.agent)]));
  const names = [...agents].filter(Boolean).sort().slice(0, 200);
  const select = find("agent");
  select.hidden = !names.length;
  replace(select, el("option", { value: "" }, "All agents"), names.map((name) => el("option", { value: name, selected: name === ui.agent }, oneLine(name, 60))));
}

function showKinds() {
  const there = new Set(sessions.flatMap((session) => session.events.flatMap(kindsOf)));
  replace(
    find("kinds"),
    KINDS.filter(([kind]) => there.has(kind)).map(([kind, label]) =>
      el("button", { type: "button", class: `filter ${kind}`, "aria-pressed": String(ui.kinds.has(kind)), onclick: () => toggleKind(kind) }, label),
    ),
  );
}

function toggleKind(kind) {
  if (ui.kinds.has(kind)) ui.kinds.delete(kind);
  else ui.kinds.add(kind);
  showKinds();
  filtered();
}

function filtered() {
  list.rebuild();
  const shown = list.rows.filter((row) => row.kind === "event").length;
  find("shown").textContent = isFiltered() ? `${counted(shown, "event")} shown` : "";
  find("clear").hidden = !isFiltered();
}

function search(text) {
  ui.query = text.trim().toLowerCase();
  ui.hits = ui.query ? hitsOf(ui.query) : [];
  ui.hit = -1;
  if (ui.hits.length) nextHit(1);
  else list.refresh();
  showHits();
}

function showHits() {
  const text = !ui.query ? "" : ui.hits.length ? `${whole(ui.hit + 1)} of ${whole(ui.hits.length)}` : "nothing found";
  find("hits").textContent = text;
  find("next").disabled = find("previous").disabled = !ui.hits.length;
}

function nextHit(by) {
  if (!ui.hits.length) return;
  ui.hit = (ui.hit + by + ui.hits.length) % ui.hits.length;
  const { session, event } = ui.hits[ui.hit];
  go(session, event, { focus: false });
  showHits();
  const card = list.cards.get(list.current);
  const mark = card && card.querySelector("mark");
  if (mark) mark.scrollIntoView({ block: "nearest" });
}

/** Go to an event, or to a session: open what lies above it, and leave filters that hide it. */
function go(session, event, { focus = true } = {}) {
  if (event && isFiltered() && !isWanted(event.absorbedBy || event)) clearFilters();
  const key = reveal(session, event);
  list.rebuild();
  list.show(key, { focus });
  sidebar.mark(session);
  const hash = event ? hashOf(session, event.q) : session.index ? `#${encodeURIComponent(session.id)}/` : "#/";
  if (location.hash !== hash) history.replaceState(null, "", hash);
}

function clearFilters() {
  ui.kinds.clear();
  Object.assign(ui, { errorsOnly: false, agent: "", leastCost: 0n, focused: false });
  showToolbar();
  filtered();
}

function showToolbar() {
  showKinds();
  find("errors").setAttribute("aria-pressed", String(ui.errorsOnly));
  find("focused").setAttribute("aria-pressed", String(ui.focused));
  find("agent").value = ui.agent;
  find("cost").value = ui.leastCost ? find("cost").value : "";
}

/** Follow a link in the address: #12, #SESSION/12, #SESSION/, or the id of an event. */
function followHash() {
  let place = location.hash.slice(1);
  if (!place) return false;
  const slash = place.lastIndexOf("/");
  const decode = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  const session = slash > 0 ? sessionById.get(decode(place.slice(0, slash))) : sessions[0];
  if (slash >= 0) place = place.slice(slash + 1);
  if (session && slash >= 0 && !place) return go(session, null) || true;
  const event = session && /^\d+$/.test(place) ? eventAt(session, Number(place)) : eventOfId(decode(location.hash.slice(1)));
  if (!event) {
    say("There is no such event in this page");
    return false;
  }
  go(event.session, event);
  return true;
}

function eventOfId(id) {
  for (const session of sessions) {
    const found = session.events.find((event) => event.i === id);
    if (found) return found;
  }
  return null;
}

const isPromptRow = (row) => row.kind === "event" && isPrompt(row.event);
const KEYS = {
  j: () => list.step(1, () => true),
  k: () => list.step(-1, () => true),
  n: () => list.step(1, isPromptRow),
  p: () => list.step(-1, isPromptRow),
  e: () => list.step(1, (row) => row.kind === "event" && (row.event.error || answersOf(row.event).some((each) => each.error))),
  "/": () => find("search").focus(),
  g: () => list.show(list.rows[0].key),
  G: () => list.show(list.rows[list.rows.length - 1].key),
  o: () => openAll(),
  "?": () => find("help").showModal(),
};

/** Open, or close, all sessions that are below. */
function openAll() {
  const isOpen = sessions.every((session) => ui.opened.has(`s${session.index}`));
  sessions.forEach((session) => session.index && (isOpen ? ui.opened.delete(`s${session.index}`) : ui.opened.add(`s${session.index}`)));
  list.rebuild();
}

function toggleTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  lanes.later();
}

/** Give the bundle that is in the page, as a file to import elsewhere. */
async function saveBundle() {
  const packed = Uint8Array.from(atob(find("bundle").textContent), (each) => each.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const link = el("a", {
    href: URL.createObjectURL(await new Response(unpacked).blob()),
    download: `${sessions[0].id.replace(/[^\w.-]+/g, "_").slice(0, 80)}.bundle`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function leastCost(text) {
  const given = Number(text);
  return Number.isFinite(given) && given > 0 ? BigInt(Math.round(given * 1e9)) * 1_000n : 0n;
}

function debounced(work) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, 180);
  };
}

function wire() {
  const field = find("search");
  field.addEventListener("input", debounced(() => search(field.value)));
  field.addEventListener("keydown", (happened) => {
    if (happened.key === "Enter") {
      if (ui.query !== field.value.trim().toLowerCase()) search(field.value);
      else nextHit(happened.shiftKey ? -1 : 1);
    }
    if (happened.key === "Escape") field.blur();
  });
  find("next").addEventListener("click", () => nextHit(1));
  find("previous").addEventListener("click", () => nextHit(-1));
  find("errors").addEventListener("click", () => {
    ui.errorsOnly = !ui.errorsOnly;
    showToolbar();
    filtered();
  });
  find("focused").addEventListener("click", () => {
    ui.focused = !ui.focused;
    showToolbar();
    filtered();
  });
  find("agent").addEventListener("change", () => {
    ui.agent = find("agent").value;
    filtered();
  });
  find("cost").addEventListener("input", debounced(() => {
    ui.leastCost = leastCost(find("cost").value);
    filtered();
  }));
  find("clear").addEventListener("click", clearFilters);
  find("theme").addEventListener("click", toggleTheme);
  find("save").addEventListener("click", saveBundle);
  find("save").hidden = !find("bundle");
  find("open-all").addEventListener("click", openAll);
  find("prompt-next").addEventListener("click", KEYS.n);
  find("prompt-previous").addEventListener("click", KEYS.p);
  find("help-open").addEventListener("click", KEYS["?"]);
  find("help-close").addEventListener("click", () => find("help").close());
  document.addEventListener("keydown", (happened) => {
    const isTyping = happened.target.closest("input, select, textarea, dialog");
    const act = KEYS[happened.key];
    if (isTyping || !act || happened.ctrlKey || happened.metaKey || happened.altKey) return;
    happened.preventDefault();
    act();
  });
  window.addEventListener("hashchange", followHash);
  window.addEventListener("beforeprint", () => list.print(true));
  window.addEventListener("afterprint", () => list.print(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => lanes.later());
}

wire();
showToolbar();
showHits();
find("open-all").hidden = sessions.length === 1;
showAll();
followHash();
performance.mark("shown");
if (data.live) {
  sessions.forEach(follow);
  listen();
}
