// What the page asks of the console on this machine, and what it says when there is no answer.

const about = { acts: [], read_only: true };
const denied = new Set(); // acts for which a right is missing

/** Why there is no answer, in a sentence. */
class Refused extends Error {
  constructor(status, told) {
    super(told.error ?? `The console answers ${status}.`);
    this.isDenied = told.denied === true;
  }
}

async function fetched(path, options) {
  let response;
  try {
    response = await fetch(path, { redirect: "error", ...options });
  } catch {
    throw new Error("The console does not answer: does `usher console` still run?");
  }
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, told);
  return told;
}

/** Ask for what is there. */
function ask(name, asked = {}) {
  const given = Object.entries(asked).filter(([, value]) => value !== "" && value !== undefined);
  return fetched(`/api/${name}?${new URLSearchParams(given)}`, {});
}

/** Have something changed. */
function send(name, body) {
  const headers = { "Content-Type": "application/json" };
  return fetched(`/api/${name}`, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Exchange the one-time code of the address for the cookie. */
async function enter() {
  const code = location.hash.slice(1);
  if (!code) return;
  history.replaceState(null, "", "/");
  await send("session", { code });
}

/** Say it on the page and in the story: only one of them can be seen. */
function say(className, text) {
  for (const one of document.getElementsByClassName(className)) {
    if (one.textContent !== text) one.textContent = text;
  }
}

const news = (text) => say("news", text);
const troubles = new Map(); // by what somebody asked for, or what is read again and again

/** Run something that asks; what goes wrong is told in words, until the same goes well. */
async function telling(what, run) {
  try {
    await run();
    troubles.delete(what);
  } catch (error) {
    troubles.set(what, error.message);
  }
  say("trouble", [...new Set(troubles.values())].join(" "));
}

/** A sentence whose direction no text in it can turn: what is confirmed must read as it is. */
const plain = (text) =>
  text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`);

const fieldsOf = (form) => Object.fromEntries(new FormData(form));

/** Call `run` with the fields of a form when it is sent. */
function onSubmit(id, run) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    run(fieldsOf(event.currentTarget));
  });
}

/** A row of a table whose cells tell their headings where the table is narrow. */
function rowOf(table, cells) {
  const headings = [...table.tHead.rows[0].cells];
  const row = make("tr", { role: "row" });
  cells.forEach((content, index) => {
    const one = make("td", { role: "cell", className: headings[index].className });
    one.append(content);
    one.dataset.label = headings[index].textContent;
    row.append(one);
  });
  return row;
}

function fill(id, rows, none) {
  const table = byId(id);
  const lines = rows.map((cells) => rowOf(table, cells));
  if (!lines.length) {
    const columns = table.tHead.rows[0].cells.length;
    lines.push(make("tr", {}, make("td", { colSpan: columns, className: "quiet" }, none)));
  }
  table.tBodies[0].replaceChildren(...lines);
}

const storyOf = (of, label) =>
  make("button", { type: "button", onclick: () => openStory(of), "aria-haspopup": "dialog" }, label);
