// What is copied as Markdown. Texts show as they were said, by the rule of exporters/markdown_text.py; the tests of
// both have one table of cases.

const MARKS = "(?:[ \\t>]|[-+*][ \\t]|[0-9]{1,9}[.)][ \\t])*";
// A block of code by itself; one inside of a list or a quote ends where that ends.
const OPENS = /^(?:(`{3,})[^`]*|(~{3,})[^]*)$/;
const INNER_FENCE = new RegExp(`^${MARKS}(?:\`{3,}|~{3,})`);
const CODE_LINE = /^[ >]*(?: {4}|\t)/;
const HEADING = new RegExp(`^${MARKS}(?=#{1,6}(?:[ \\t]|$))`);
const UNDERLINE = /^[ \t>]*(?=(?:=+|-+)[ \t]*$)/;
const BLANK = /^[ \t>]*$/;
// What means something in plain text: an escape, code, a tag, an entity, a picture, a definition.
const SPECIAL = /\\[!-/:-@[-`{-~]|`+|<(?=[A-Za-z/!?])|&(?=#?[A-Za-z0-9]+;)|!(?=\[)|\](?=:)/g;
const ESCAPED = { "<": "\\<", "&": "&amp;", "!": "\\!", "]": "\\]" };
const ANY_MARK = /([\\`*_{}[\]<>#|~!&])/g;
// Commands to a terminal, and halves of characters.
const UNSHOWN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]/gu;
const SPACES = /[^\S\ufeff]+/;

const clean = (text) => text.replace(/\r\n?/g, "\n").replace(UNSHOWN, "\ufffd");
const onOneLine = (text) => text.split(SPACES).filter(Boolean).join(" ");

/** Return Markdown that shows a text as it was said. */
function shownText(text) {
  const lines = text.split("\n");
  const made = [];
  for (let at = 0, before = ""; at < lines.length; ) {
    const line = lines[at];
    const end = endOfCode(lines, at);
    if (end) {
      made.push(...lines.slice(at, end));
      [at, before] = [end, ""];
      continue;
    }
    const escaped = escapedLine(line, before);
    // Here it depends on what is around the line whether it is code, in which an escape would show.
    if (INNER_FENCE.test(line) || (escaped !== line && CODE_LINE.test(line))) return fenced(text, "markdown");
    made.push(escaped);
    [at, before] = [at + 1, line];
  }
  return made.join("\n");
}

/** Return Markdown that shows a text letter by letter, on one line. */
const plainText = (text) => onOneLine(text).replace(ANY_MARK, "\\$1");

/** Return a span of code on one line. */
function codeSpan(text) {
  const said = onOneLine(text);
  const longest = Math.max(0, ...(said.match(/`+/g) || []).map((each) => each.length));
  const ticks = "`".repeat(longest + 1);
  return longest ? `${ticks} ${said} ${ticks}` : `${ticks}${said}${ticks}`;
}

/** Return a block of code; its fence is longer than any inside. */
function fenced(text, language = "") {
  let longest = 2;
  for (const [fence] of text.matchAll(/`{3,}/g)) longest = Math.max(longest, fence.length);
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

/** Return where a block of code ends that begins at a line; nothing where none does. */
function endOfCode(lines, at) {
  const opens = OPENS.exec(lines[at]);
  if (!opens) return undefined;
  const fence = opens[1] || opens[2];
  const closes = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`);
  for (let end = at + 1; end < lines.length; end += 1) if (closes.test(lines[end])) return end + 1;
  return undefined;
}

function escapedLine(line, before) {
  const starts = HEADING.exec(line) || (BLANK.test(before) ? null : UNDERLINE.exec(line));
  return starts ? `${starts[0]}\\${escapedInside(line.slice(starts[0].length))}` : escapedInside(line);
}

function escapedInside(text) {
  let made = "";
  let at = 0;
  for (;;) {
    SPECIAL.lastIndex = at;
    const special = SPECIAL.exec(text);
    if (!special) return made + text.slice(at);
    const found = special[0];
    made += text.slice(at, special.index);
    at = special.index + found.length;
    if (found[0] !== "`") {
      made += found[0] === "\\" ? found : ESCAPED[found];
      continue;
    }
    const end = endOfSpan(text, at, found.length);
    made += end ? text.slice(special.index, end) : "\\`".repeat(found.length);
    at = end || at;
  }
}

function endOfSpan(text, from, length) {
  const ticks = /`+/g;
  ticks.lastIndex = from;
  for (let found = ticks.exec(text); found; found = ticks.exec(text)) if (found[0].length === length) return ticks.lastIndex;
  return undefined;
}

function eventMarkdown(event) {
  const lines = [`### #${event.q} ${plainText(clean(whoOf(event)))}${event.r ? " (retracted)" : ""}`, ""];
  const block = (text) => fenced(clean(text));
  event.parts.forEach((part, at) => {
    if (part[0] === "text" || part[0] === "instruction") lines.push(shownText(clean(fullOf(part[1]))), "");
    else if (part[0] === "reasoning") lines.push(...quoted(clean(fullOf(part[1]))), "");
    else if (part[0] === "call") {
      lines.push(`**${plainText(clean(part[2])) || "a tool"}**`, "", block(argumentsText(part[3])), "");
      const answer = event.answeredBy && event.answeredBy.get(at);
      if (answer) {
        const result = answer.event.parts[answer.part];
        lines.push(`Result${result[3] ? " (error)" : ""}:`, "", block(returnedText(result)), "");
      }
    } else if (part[0] === "result") lines.push(block(returnedText(part)), "");
    else lines.push(block(jsonText(part.slice(1))), "");
  });
  if (!event.parts.length && event.o !== undefined) lines.push(block(jsonText(event.o)), "");
  return lines.join("\n");
}

/** Return all that a tool has returned. */
function returnedText(result) {
  const said = { text: ([, text]) => fullOf(text), json: ([, value]) => jsonText(value) };
  return result[4].map((part) => (said[part[0]] || jsonText)(part)).join("\n");
}

const quoted = (text) => (text.trim() ? shownText(text).split("\n").map((line) => `> ${line}`) : []);

function sessionMarkdown(session) {
  const head = [`# ${plainText(clean(nameOf(session)))}`, "", `Session ${codeSpan(clean(session.id))}, ${costOf(session.whole)}`, ""];
  return [...head, ...session.events.filter((event) => !event.r && !event.absorbedBy).map(eventMarkdown)].join("\n");
}
