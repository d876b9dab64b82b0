// Search over all that the page holds: what is collapsed, or in a session below, is found as well.

function hasText(ref, query) {
  return ref !== null && ref !== undefined && fullOf(ref).toLowerCase().includes(query);
}

function valueHas(value, query) {
  if (value === null || value === undefined) return false;
  if (typeof value !== "object") return String(value).toLowerCase().includes(query);
  if (isReference(value)) return hasText(value, query);
  if (Array.isArray(value)) return value.some((each) => valueHas(each, query));
  return Object.keys(value).some((key) => key.toLowerCase().includes(query) || valueHas(value[key], query));
}

function partHas(part, query) {
  return part.slice(1, 5).some((value) => typeof value !== "number" && valueHas(value, query));
}

function eventHas(event, query) {
  const named = [event.i, event.y, event.w, event.n, event.k, event.u && event.u.model];
  return (
    named.some((name) => name && name.toLowerCase().includes(query)) ||
    event.parts.some((part) => partHas(part, query)) ||
    valueHas(event.m, query) ||
    valueHas(event.o, query)
  );
}

function sessionHas(session, query) {
  return [session.id, session.title, session.properties, session.state, session.runs].some((value) => valueHas(value, query));
}

/** Return what has the text in it, in the order in which the list would show all of it. */
function hitsOf(query) {
  const hits = [];
  const visit = (session) => {
    if (sessionHas(session, query)) hits.push({ session, event: null });
    const below = (key) => (session.childrenAt.get(key) || []).forEach(visit);
    below("");
    for (const event of session.events) {
      if (eventHas(event, query)) hits.push({ session, event });
      below(event.key);
    }
  };
  visit(sessions[0]);
  return hits;
}
