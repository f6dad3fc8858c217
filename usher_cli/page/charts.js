// How long instances were held, by hook, and the margin at each heartbeat.

const BINS_S = [10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 57600, 115200, Infinity];
const MOST_HOOKS = 24;
const SMALLEST_S = 5; // no heartbeat is planned nearer to the expiry
const LEAST_SHOWN_S = 1;

/** The rows of each hook, the hook with the most first. */
function byHook(rows) {
  const found = new Map();
  for (const action of rows) {
    if (!found.has(action.hook)) found.set(action.hook, []);
    found.get(action.hook).push(action);
  }
  return [...found].sort(([, some], [, others]) => others.length - some.length);
}

const binOf = (seconds) => BINS_S.findIndex((end) => seconds < end);

function binLabel(bin) {
  if (bin === 0) return `below ${duration(BINS_S[0])}`;
  if (BINS_S[bin] === Infinity) return `${duration(BINS_S[bin - 1])} and more`;
  return `${duration(BINS_S[bin - 1])} to ${duration(BINS_S[bin])}`;
}

/** One histogram for each hook, all over the same bins; a table, so that it can be read as well. */
function showWaits(rows) {
  const hooks = byHook(rows);
  const used = rows.map((action) => binOf(action.held));
  const first = used.reduce((least, bin) => Math.min(least, bin), BINS_S.length - 1);
  const last = used.reduce((most, bin) => Math.max(most, bin), 0);
  const cards = hooks.slice(0, MOST_HOOKS).map(([hook, some]) => waitsOf(hook, some, first, last));
  if (hooks.length > MOST_HOOKS)
    cards.push(make("p", {}, `… and ${hooks.length - MOST_HOOKS} more hooks: filter by hook.`));
  byId("waits").replaceChildren(...(cards.length ? cards : [make("p", {}, "Nothing to show.")]));
}

function waitsOf(hook, some, first, last) {
  const counts = new Array(BINS_S.length).fill(0);
  for (const action of some) counts[binOf(action.held)] += 1;
  const most = Math.max(...counts);
  const body = make("tbody");
  for (let bin = first; bin <= last; bin += 1) body.append(binRow(bin, counts[bin], most));
  const heldLong = some.reduce((longest, action) => Math.max(longest, action.held), 0);
  const said = `${counted(some.length, "action")}, the longest ${duration(heldLong)}`;
  const table = make("table", { "aria-label": `Waits of ${hook}` }, body);
  return make("section", {}, make("h3", {}, hook), make("p", { className: "quiet" }, said), table);
}

function binRow(bin, number, most) {
  const part = make("div", { className: "part" });
  part.style.width = `${(100 * number) / most}%`;
  const head = make("th", { scope: "row" }, binLabel(bin));
  return make("tr", {}, head, cell(count(number), "number"), make("td", { "aria-hidden": "true" }, part));
}

/** Where a margin stands: seconds on a logarithmic scale, so that 30 s hooks and 2 h hooks share it. */
function marginScale(rows, height) {
  let most = 10;
  for (const action of rows) for (const beat of action.beats) most = Math.max(most, beat.margin);
  const top = Math.log((most * 1.3) / LEAST_SHOWN_S);
  return (seconds) =>
    height - 8 - (Math.log(Math.max(seconds, LEAST_SHOWN_S) / LEAST_SHOWN_S) / top) * (height - 16);
}

function drawMargins() {
  const { pen, width, height } = cleared(byId("margins"));
  const yOf = marginScale(shown.rows, height);
  drawGrid(pen, height);
  for (const seconds of [1, SMALLEST_S, 10, 30, 60, 300, 600, 1800, 3600].filter((some) => yOf(some) > 6)) {
    drawMarginLine(pen, seconds, yOf(seconds), width);
  }
  for (const action of shown.rows) {
    for (const beat of action.beats) {
      if (beat.at < shown.from || beat.at > shown.to) continue;
      drawMargin(pen, beat.margin, plotLeft() + xOf(beat.at), yOf(beat.margin));
    }
  }
}

function drawMarginLine(pen, seconds, y, width) {
  pen.fillStyle = seconds === SMALLEST_S ? colours.defaulted : colours.line;
  pen.fillRect(0, y, width, 1);
  pen.fillStyle = seconds === SMALLEST_S ? colours.defaulted : colours.quiet;
  pen.fillText(duration(seconds), 6, y - 3);
}

/** A margin under the smallest that is planned is a red cross, any other a dot. */
function drawMargin(pen, margin, x, y) {
  if (margin >= SMALLEST_S) {
    pen.fillStyle = colours.CONTINUE;
    pen.fillRect(x - 2, y - 2, 4, 4);
    return;
  }
  pen.strokeStyle = colours.defaulted;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const side of [-1, 1]) {
    pen.moveTo(x - 4, y - 4 * side);
    pen.lineTo(x + 4, y + 4 * side);
  }
  pen.stroke();
}

/** The row whose heartbeat is nearest to a click, within a few pixels. */
function rowOfMarginAt(event) {
  const box = byId("margins").getBoundingClientRect();
  const yOf = marginScale(shown.rows, box.height);
  let nearest = { index: -1, distance: 12 };
  shown.rows.forEach((action, index) => {
    for (const beat of action.beats) {
      const right = plotLeft() + xOf(beat.at) - (event.clientX - box.left);
      const distance = Math.hypot(right, yOf(beat.margin) - (event.clientY - box.top));
      if (distance < nearest.distance) nearest = { index, distance };
    }
  });
  return nearest.index;
}

function showMarginTable(rows) {
  const lines = byHook(rows)
    .map(([hook, some]) => marginsOf(hook, some))
    .filter(Boolean);
  const nothing = make("tr", {}, make("td", { colSpan: 7 }, "No heartbeat with a known margin was accepted."));
  byId("margin-table").tBodies[0].replaceChildren(...(lines.length ? lines : [nothing]));
}

function marginsOf(hook, some) {
  const margins = some
    .flatMap((action) => action.beats.map((beat) => beat.margin))
    .sort((one, other) => one - other);
  if (!margins.length) return null;
  const tightest = some.reduce((least, action) => (action.least < least.least ? action : least));
  const timeouts = [...new Set(some.map((action) => action.heartbeat_timeout_s))].sort(
    (one, other) => one - other,
  );
  const numbers = [margins[0], margins[Math.floor(margins.length / 2)], margins.at(-1)].map(duration);
  const head = make("th", { scope: "row" }, hook);
  const cells = [timeouts.map(duration).join(", "), count(margins.length), ...numbers];
  return make(
    "tr",
    {},
    head,
    ...cells.map((text) => cell(text, "number")),
    make("td", {}, storyButton(tightest)),
  );
}
