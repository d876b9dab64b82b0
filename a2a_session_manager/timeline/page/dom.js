// Elements. Whatever comes from the data becomes a text node, or an attribute that cannot run anything.

function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, children);
  return element;
}

/** Append elements and texts, which may lie in lists; what is null or false is left out. */
function add(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

const find = (id) => document.getElementById(id);

function replace(element, ...children) {
  element.replaceChildren();
  add(element, children);
}

/** Return text with the words that are searched for marked in it. */
function marked(text) {
  const query = ui.query;
  if (!query || !text) return [document.createTextNode(text)];
  const low = text.toLowerCase();
  const made = [];
  let from = 0;
  // What grows in small letters, such as İ, has other places: such a text is not marked.
  for (let at = low.length === text.length ? low.indexOf(query) : -1; at >= 0 && made.length < 80; at = low.indexOf(query, from)) {
    made.push(document.createTextNode(text.slice(from, at)), el("mark", null, text.slice(at, at + query.length)));
    from = at + query.length;
  }
  made.push(document.createTextNode(text.slice(from)));
  return made;
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "offscreen" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const said = button.textContent;
  button.textContent = "Copied";
  say("Copied");
  setTimeout(() => (button.textContent = said), 1_200);
}

/** Say something to those who do not see it. */
function say(text) {
  find("said").textContent = text;
}
