// Numbers and moments as people read them.

const PICO = 1_000_000_000_000n;

function dollars(pico) {
  const cost = BigInt(pico);
  const digits = cost === 0n || cost >= PICO / 10_000n ? 4 : 8;
  if (digits > 4 && cost < PICO / 200_000_000n) return "< $0.00000001";
  const unit = 10n ** BigInt(12 - digits);
  const rounded = (cost + unit / 2n) / unit;
  const scale = 10n ** BigInt(digits);
  const part = String(rounded % scale).padStart(digits, "0");
  return `$${(rounded / scale).toLocaleString("en")}.${digits > 4 ? part.replace(/0+$/, "") : part}`;
}

/** Return what a sum costs: what is not known is never shown as nothing. */
function costOf(tally) {
  if (!tally.requests) return "no requests";
  const isBound = tally.unpriced || tally.partly || tally.unknown;
  if (isBound && tally.cost === "0") return "unknown";
  return (isBound ? "≥ " : "") + dollars(tally.cost);
}

function usageCost(usage) {
  if (usage.cost === undefined) return "cost unknown";
  return (usage.partly ? "≥ " : "") + dollars(usage.cost);
}

const whole = (number) => number.toLocaleString("en");

function short(number) {
  if (number < 10_000) return whole(number);
  return number < 1_000_000 ? `${(number / 1_000).toFixed(1)}k` : `${(number / 1_000_000).toFixed(2)}M`;
}

const counted = (number, what) => `${whole(number)} ${what}${number === 1 ? "" : "s"}`;

function duration(milliseconds) {
  const ms = Math.max(0, milliseconds);
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

/** Return how long after the beginning something was, such as +1:02:03.4. */
function offset(milliseconds) {
  const sign = milliseconds < 0 ? "−" : "+";
  const tenths = Math.round(Math.abs(milliseconds) / 100);
  const seconds = Math.floor(tenths / 10);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const pad = (number) => String(number).padStart(2, "0");
  const clock = hours ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
  return hours ? sign + clock : `${sign}${clock}.${tenths % 10}`;
}

function moment(milliseconds) {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? "unknown time" : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

const characters = (count) => (count < 10_000 ? counted(count, "character") : `${short(count)} characters`);

function jsonText(value) {
  return JSON.stringify(plain(value), null, 2);
}

// Numbers that JavaScript may round.
const LONG_NUMBER = /\d{16}|\d[eE]/;

/** Return the arguments of a call for reading: JSON text is laid out, anything else stays. */
function argumentsText(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string" && !isReference(value)) return jsonText(value);
  const held = fullOf(value);
  if (LONG_NUMBER.test(held)) return held;
  try {
    return JSON.stringify(JSON.parse(held), null, 2);
  } catch {
    return held;
  }
}
