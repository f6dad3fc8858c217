// How values are written, and how elements are made. All text goes in as text, never as markup.

const SECOND = 1000;
const LOOKS = new Set(["wait", "heartbeat", "complete"]);
const END_WORDS = {
  CONTINUE: "completed with CONTINUE",
  ABANDON: "completed with ABANDON",
  ended_elsewhere: "ended elsewhere",
  defaulted: "got the default result",
  open: "still open",
};

const byId = (id) => document.getElementById(id);

/** An action as it came, with what the drawing needs of it. */
function prepared(action) {
  const start = Date.parse(action.started_at);
  const beats = action.beats.map((beat) => ({ at: Date.parse(beat.at), margin: beat.to_expiry_s }));
  const end = lastMoment(action);
  return {
    ...action,
    start,
    end,
    beats,
    seen: Date.parse(action.first_seen_at),
    held: (end - start) / SECOND,
    ending: action.outcome === "completed" ? action.result : action.outcome,
    looks: momentsOf(action, (line) => LOOKS.has(line.event)),
    signals: momentsOf(action, (line) => line.event === "signal"),
    least: beats.reduce((least, beat) => Math.min(least, beat.margin), Infinity),
    text: textOf(action).toLowerCase(),
  };
}

function lastMoment(action) {
  const last = action.timeline.at(-1);
  return Date.parse(action.closed_at ?? last?.last_at ?? last?.at ?? action.started_at);
}

/** The times of some lines; of a counted line the first and the last are known. */
function momentsOf(action, fits) {
  const lines = action.timeline.filter(fits);
  return lines.flatMap((line) => (line.last_at ? [line.at, line.last_at] : [line.at])).map(Date.parse);
}

function textOf(action) {
  const said = action.timeline.map((line) => `${line.event} ${line.detail}`);
  const own = [action.instance_id, action.token, action.group, action.hook, action.policy, action.reason];
  return [...own, action.transition, ...said].join("\n");
}

/** `1h5m10s`; below a minute with a tenth, where that says something. */
function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 60) return `${Math.floor(seconds * 10) / 10}s`;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const parts = [
    [hours, "h"],
    [minutes, "m"],
    [Math.floor(seconds) % 60, "s"],
  ];
  return parts
    .filter(([count]) => count)
    .map(([count, unit]) => `${count}${unit}`)
    .join("");
}

const count = (number) => number.toLocaleString("en");
const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
const moment = (text) => (text ? text.replace("T", " ").replace("Z", "") : "–");
const written = (time) => moment(new Date(time).toISOString());

/** An element with properties and children; a child that is a string becomes text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const cell = (text, className = "") => make("td", { className }, text);

/** A term with its description, for a `dl`. */
function fact(term, description, className = "") {
  return make("div", {}, make("dt", {}, term), make("dd", { className }, description));
}
