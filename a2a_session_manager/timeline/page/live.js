// A page that a server sends goes on with what comes. A file has no stream, and its policy forbids it to connect.

const PAUSE = 3_000;

function listen() {
  const state = find("live");
  state.hidden = false;
  const after = sessions.map((session) => session.known).join(".");
  const source = new EventSource(`${location.pathname}?after=${after}&of=${data.of}`);
  const shows = (text, kind) => {
    state.textContent = text;
    state.className = `chip ${kind}`;
  };
  source.onopen = () => shows("live", "good");
  source.addEventListener("timeline", (message) => take(JSON.parse(message.data)));
  source.addEventListener("stale", () => location.reload());
  source.addEventListener("problem", (message) => {
    source.close();
    shows(`ended: ${JSON.parse(message.data).detail || "the session is gone"}`, "error");
  });
  source.onerror = () => {
    // The browser would ask for the same again: what is known by now has to be said anew.
    source.close();
    shows("reconnecting", "warn");
    setTimeout(listen, PAUSE);
  };
}

/** Take in what the server says: new sessions, heads that have changed, and events. */
function take(update) {
  const atEnd = list.scroller.scrollTop + list.scroller.clientHeight > list.scroller.scrollHeight - 40;
  for (const row of update.sessions) if (!sessionById.has(row.id)) follow(addSession(row));
  for (const head of update.heads) {
    const session = sessionById.get(head.id);
    if (session) Object.assign(session, head);
  }
  for (const { id, events: rows } of update.events) {
    const session = sessionById.get(id);
    if (session) rows.forEach((row) => put(session, row));
  }
  if (update.spent) data.spent = update.spent;
  if (update.of) data.of = update.of;
  relateAll();
  showAll();
  if (atEnd) list.scroller.scrollTop = list.scroller.scrollHeight;
}

function put(session, row) {
  prepare(session, row);
  session.known = Math.max(session.known, row.q);
  const at = session.events.findIndex((event) => event.q === row.q);
  if (at < 0) session.events.push(row);
  else session.events[at] = row;
}

/** Remember up to which event a session is known. */
function follow(session) {
  session.known = session.last;
}
