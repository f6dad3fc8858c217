// What is held now, and the story of one action: both are read again and again.

const RETRY_S = 5;
const held = { rows: new Map(), first: 0, filter: {}, timer: 0, readAt: 0, busy: false, isLate: false };
const read = { of: "", isOpen: false };

/** Read what is held, and the story that is open, and come back when the console says. */
async function poll() {
  clearTimeout(held.timer);
  held.isLate = held.busy; // once more when this reading is done: it may be of before a change
  if (document.hidden || current.tab !== "held" || held.busy) return;
  held.busy = true;
  let next = RETRY_S;
  await telling("polling", async () => {
    const page = await ask("open", { ...held.filter, first: held.first });
    next = page.next_in_s;
    showHeld(page);
    if (byId("story").open && read.isOpen) await readStory(read.of, true);
  });
  held.busy = false;
  if (held.isLate) next = 0;
  clearTimeout(held.timer);
  held.timer = setTimeout(poll, next * SECOND);
}

function showHeld(page) {
  held.readAt = performance.now();
  const { length } = page.actions;
  const place = held.first ? `${count(held.first + 1)} to ${count(held.first + length)}` : count(length);
  const unreadable = page.unreadable.length ? ` Cannot read ${counted(page.unreadable.length, "record")}.` : "";
  byId("held-count").textContent = page.open
    ? `${place} of ${counted(page.open, "open action")}, nearest expiry first.${unreadable}`
    : `No action is held.${unreadable}`;
  document.title = `${count(page.open)} held · Usher console`;
  byId("paused").replaceChildren(
    ...page.paused.map((pause) =>
      make("li", {}, `PAUSED: ${pause.hook === "*" ? "all hooks" : `hook ${pause.hook}`}, by ${pause.by}`),
    ),
  );
  byId("held-before").disabled = held.first === 0;
  byId("held-after").disabled = !page.more;
  byId("held-units").textContent =
    `Read at ${moment(page.at).slice(11, 19)} UTC with ${count(page.units)} read units, ` +
    `${count(page.read_units)} since the start; reading goes on in ${duration(page.next_in_s)}, ` +
    `with at most ${count(page.units_a_minute)} units a minute.`;
  showRows(page.actions);
  tick();
}

/** Change the rows that are there, so that whoever is on one stays there. */
function showRows(actions) {
  const body = byId("held-table").tBodies[0];
  const focused = document.activeElement;
  const before = held.rows;
  held.rows = new Map(actions.map((action) => [action.id, heldRow(action, before.get(action.id))]));
  const rows = [...held.rows.values()].map((one) => one.row);
  if (rows.length !== body.rows.length || rows.some((row, index) => row !== body.rows[index])) {
    body.replaceChildren(...rows);
    if (body.contains(focused)) focused.focus({ preventScroll: true });
  }
}

function heldRow(action, known) {
  const texts = [action.group, action.hook, action.state, "", "", action.waits_for];
  const row =
    known?.row ?? rowOf(byId("held-table"), [storyOf(action.id, action.instance_id), ...texts.map(() => "")]);
  texts.forEach((text, index) => {
    const one = row.cells[index + 1];
    if (text && one.textContent !== text) one.textContent = text;
  });
  row.dataset.state = action.state;
  return { row, action };
}

/** Times go on between two readings. */
function tick() {
  const since = (performance.now() - held.readAt) / SECOND;
  for (const { row, action } of held.rows.values()) {
    row.cells[4].textContent = left(action.to_expiry_s - since);
    row.cells[5].textContent = left(action.to_giving_up_s - since);
  }
}

const left = (seconds) => (seconds < 0 ? `−${duration(Math.ceil(-seconds))}` : duration(Math.floor(seconds)));

async function openStory(of) {
  news("");
  await telling("asked", () => readStory(of, false));
}

async function readStory(of, again) {
  const answer = await ask("story", again ? { of, again: 1 } : { of });
  if (answer.later || (again && !byId("story").open)) return;
  const { action } = answer;
  const story = prepared(answer.story);
  if (!action.closed_at) story.held = action.age_s;
  Object.assign(read, { of: action.id, isOpen: !action.closed_at });
  const title = plain(`${action.instance_id}: ${END_WORDS[story.ending]}`);
  if (byId("story-title").textContent !== title) byId("story-title").textContent = title;
  byId("story-now").replaceChildren(...(action.closed_at ? [] : nowFacts(action)));
  byId("story-facts").replaceChildren(...facts(story));
  byId("story-table").tBodies[0].replaceChildren(...storyLines(story));
  byId("story-others").replaceChildren(...answer.others.map(otherButton));
  showStoryActs(action);
  if (!byId("story").open) {
    byId("story").showModal();
    byId("story").scrollTop = 0;
    byId("story-title").focus();
  }
}

/** Only where they differ, so that whoever is on one stays there. */
function showStoryActs(action) {
  const buttons = actButtons(action);
  const key = JSON.stringify([action.id, action.waits_for, action.gives_up_at, buttons.map((one) => one.textContent)]);
  if (byId("story-acts").dataset.key === key) return;
  byId("story-acts").dataset.key = key;
  byId("story-acts").replaceChildren(...buttons, byId("story-close"));
}

function nowFacts(action) {
  const notes = [
    ["Held by", action.held],
    [`${action.requested?.result} requested by`, action.requested],
  ];
  return [
    fact("State", action.state),
    fact("Waits for", action.waits_for || "nothing"),
    fact("Expires in", left(action.to_expiry_s)),
    fact("Gives up in", left(action.to_giving_up_s)),
    ...notes.filter(([, note]) => note).map(([term, note]) => fact(term, `${note.who}: ${note.reason}`)),
  ];
}

const otherButton = (other) =>
  storyOf(other.id, `${other.hook}, ${moment(other.started_at).slice(0, 16)}, ${other.end.replace("_", " ")}`);

function turnPage(by) {
  held.first = Math.max(0, held.first + by);
  poll();
}

function listenToHeld() {
  onSubmit("held-filter", (filter) => {
    Object.assign(held, { filter, first: 0 });
    poll();
  });
  onSubmit("find", (fields) => openStory(fields.of.trim()));
  byId("held-before").onclick = () => turnPage(-50);
  byId("held-after").onclick = () => turnPage(50);
  byId("held-again").onclick = poll;
  byId("story-close").onclick = () => byId("story").close();
  document.addEventListener("visibilitychange", poll);
  setInterval(tick, SECOND);
}
