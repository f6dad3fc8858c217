// The page as a whole: totals, the filter, the table, and what redraws what.

const PAGE = 25;
const MOST_PLACES = 500;
const ORDERS = {
  start: (one, other) => one.start - other.start,
  wait: (one, other) => other.held - one.held,
  margin: (one, other) => (one.least === other.least ? 0 : one.least - other.least),
};
let firstOfTable = 0;

function showTotals() {
  const { summary } = data;
  const ended = (ending) => actions.filter((action) => action.ending === ending).length;
  const longest = actions.reduce((most, action) => Math.max(most, action.held), -Infinity);
  const least = actions.reduce((smallest, action) => Math.min(smallest, action.least), Infinity);
  const kinds = ["lifecycle", "duplicate", "test", "outcome", "signal", "call", "ignored", "rejected"];
  const parts = kinds.filter((kind) => summary[kind]).map((kind) => `${count(summary[kind])} ${kind}`);
  byId("received").textContent =
    `${counted(summary.received, "message")}${parts.length ? `: ${parts.join(", ")}` : ""}.`;
  byId("totals").replaceChildren(
    fact("Actions", count(summary.actions)),
    fact("CONTINUE", count(ended("CONTINUE"))),
    fact("ABANDON", count(ended("ABANDON"))),
    fact("Ended elsewhere", count(ended("ended_elsewhere"))),
    fact("Got the default result", count(summary.defaulted), summary.defaulted ? "bad" : ""),
    fact("Heartbeats", count(summary.heartbeats)),
    fact("Longest wait", duration(longest)),
    fact("Smallest margin", duration(least)),
  );
}

function showPlacesApart() {
  const rejected = data.rejected.map((place) => ["rejected", place.source, place.reason]);
  const ignored = data.ignored.map((place) => ["ignored", place.source, place.reason]);
  const unmatched = data.unmatched.map((place) => ["unmatched", place.source, place.reason]);
  const places = [...rejected, ...unmatched, ...ignored];
  const lines = places
    .slice(0, MOST_PLACES)
    .map((place) => make("tr", {}, ...place.map((text) => cell(text))));
  const left = places.length - lines.length;
  if (left > 0)
    lines.push(make("tr", {}, make("td", { colSpan: 3 }, `… and ${count(left)} more: see --json.`)));
  if (!lines.length)
    lines.push(make("tr", {}, make("td", { colSpan: 3 }, data.apart ?? "None: every message was processed.")));
  byId("apart").tBodies[0].replaceChildren(...lines);
}

const valueOf = (action, field) => action[field] ?? "none";

function fillFilter() {
  for (const field of ["group", "hook", "outcome", "result"]) {
    const values = [...new Set(actions.map((action) => valueOf(action, field)))].sort();
    const options = values.map((value) => make("option", { value }, value));
    byId("filter").elements[field].replaceChildren(make("option", { value: "" }, "all"), ...options);
  }
}

/** Show what the filter lets through, everywhere. */
function applyFilter() {
  const wanted = new FormData(byId("filter"));
  const fields = ["group", "hook", "outcome", "result"].filter((field) => wanted.get(field) !== "");
  const text = wanted.get("text").trim().toLowerCase();
  const rows = actions
    .filter((action) => fields.every((field) => valueOf(action, field) === wanted.get(field)))
    .filter((action) => action.text.includes(text))
    .sort(ORDERS[wanted.get("order")]);
  byId("count").textContent = `${count(rows.length)} of ${counted(actions.length, "action")} shown.`;
  showRows(rows);
  showTable(0);
  showWaits(rows);
  showMarginTable(rows);
}

/** A page of the table, from its row `first`. */
function showTable(first) {
  firstOfTable = first;
  const { rows } = shown;
  const last = Math.min(first + PAGE, rows.length);
  byId("table").tBodies[0].replaceChildren(...rows.slice(first, last).map(tableRow));
  byId("page-before").disabled = first === 0;
  byId("page-after").disabled = last === rows.length;
  byId("page-place").textContent = rows.length
    ? `${count(first + 1)} to ${count(last)} of ${count(rows.length)}`
    : "none";
}

function tableRow(action) {
  return make(
    "tr",
    {},
    make("td", {}, storyButton(action)),
    cell(action.group),
    cell(action.hook),
    cell(moment(action.started_at).slice(0, 19), "time"),
    cell(duration(action.held), "number"),
    cell(count(action.heartbeats), "number"),
    cell(duration(action.least), "number"),
    cell(END_WORDS[action.ending]),
    cell(action.reason),
  );
}

function redraw() {
  readColours();
  drawLegend();
  layOut();
}

function listenToPage() {
  const filter = byId("filter");
  filter.addEventListener("input", applyFilter);
  filter.addEventListener("submit", (event) => event.preventDefault());
  byId("show-all").onclick = () => {
    filter.reset();
    applyFilter();
  };
  byId("page-before").onclick = () => showTable(firstOfTable - PAGE);
  byId("page-after").onclick = () => showTable(firstOfTable + PAGE);
  window.addEventListener("resize", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

readColours();
showTotals();
showPlacesApart();
fillFilter();
listenToTimeline();
listenToStory();
listenToPage();
drawLegend();
applyFilter();
