// The timeline: rows for those in view only, their bars on one canvas behind them.

const LABEL_PX = 330;
const SHORTEST = SECOND;
const narrow = window.matchMedia("(max-width: 40rem)");
const shown = { rows: [], from: whole.from, to: whole.to, chosen: 0, drawing: false, dragged: false };
const elements = new Map(); // by index in shown.rows

const rowHeight = () => (narrow.matches ? 46 : 28);
const plotLeft = () => (narrow.matches ? 10 : LABEL_PX);
const plotWidth = () => Math.max(byId("axis").clientWidth - plotLeft() - 14, 50);
const xOf = (time) => ((time - shown.from) / (shown.to - shown.from)) * plotWidth();

/** Show these rows, from the top. */
function showRows(rows) {
  for (const element of elements.values()) element.remove();
  elements.clear();
  Object.assign(shown, { rows, chosen: 0 });
  byId("rows").hidden = byId("axis").hidden = rows.length === 0;
  byId("rows").scrollTop = 0;
  layOut();
}

/** Fit the heights to the number of rows and to the window. */
function layOut() {
  byId("sheet").style.height = `${shown.rows.length * rowHeight()}px`;
  byId("bars").style.height = `${byId("rows").clientHeight}px`;
  byId("options").style.setProperty("--label", narrow.matches ? "100%" : `${LABEL_PX - 10}px`);
  renewOptions();
  schedule();
}

function indexesInView() {
  const { scrollTop, clientHeight } = byId("rows");
  const first = Math.floor(scrollTop / rowHeight());
  return {
    first,
    last: Math.min(Math.floor((scrollTop + clientHeight - 1) / rowHeight()), shown.rows.length - 1),
  };
}

/** Have an element for each row in view, and for the chosen one, which may have the focus. */
function renewOptions() {
  const { first, last } = indexesInView();
  const wanted = new Set(shown.rows.length ? [shown.chosen] : []);
  for (let index = first; index <= last; index += 1) wanted.add(index);
  for (const [index, element] of elements) {
    if (wanted.has(index)) continue;
    element.remove();
    elements.delete(index);
  }
  for (const index of wanted) {
    if (!elements.has(index)) elements.set(index, option(index));
    place(index);
  }
}

function option(index) {
  const action = shown.rows[index];
  const label = make(
    "span",
    { className: "label", title: `${action.hook} · ${action.group}` },
    make("b", {}, action.instance_id),
    " ",
  );
  label.append(make("span", {}, `${action.hook} · ${action.group}`));
  const element = make("div", { role: "option", "aria-label": spoken(action) }, label);
  element.setAttribute("aria-setsize", shown.rows.length);
  element.setAttribute("aria-posinset", index + 1);
  element.dataset.index = index;
  return byId("options").appendChild(element);
}

function place(index) {
  const element = elements.get(index);
  element.style.top = `${index * rowHeight()}px`;
  element.style.height = `${rowHeight()}px`;
  element.tabIndex = index === shown.chosen ? 0 : -1;
  element.setAttribute("aria-selected", String(index === shown.chosen));
}

function spoken(action) {
  const shownToo = `${action.instance_id} ${action.hook} · ${action.group}`;
  const held = `${action.transition}, held ${duration(action.held)}, ${END_WORDS[action.ending]}`;
  return `${shownToo}, ${held}, ${counted(action.heartbeats, "heartbeat")}`;
}

/** Choose a row and bring it into view. */
function choose(index, focus = true) {
  shown.chosen = Math.min(Math.max(index, 0), shown.rows.length - 1);
  const rows = byId("rows");
  const top = shown.chosen * rowHeight();
  rows.scrollTop = Math.min(Math.max(rows.scrollTop, top + rowHeight() - rows.clientHeight), top);
  renewOptions();
  if (focus) elements.get(shown.chosen)?.focus({ preventScroll: true });
}

/** Draw once before the next frame, however often it is asked for. */
function schedule() {
  if (shown.drawing) return;
  shown.drawing = true;
  requestAnimationFrame(() => {
    shown.drawing = false;
    drawAxis();
    drawBars();
    drawMargins();
    const [from, to] = [shown.from, shown.to].map((time) => written(time).slice(0, 19));
    byId("span").textContent = shown.rows.length ? `${from} to ${to} UTC` : "No action to show.";
  });
}

function drawAxis() {
  const { pen, height } = cleared(byId("axis"));
  pen.textAlign = "center";
  const times = ticks(shown.from, shown.to, plotWidth(), 76);
  const step = times[1] - times[0];
  let day = "";
  for (const time of times) {
    const x = plotLeft() + xOf(time);
    const date = new Date(time).toISOString().slice(5, 10);
    pen.fillStyle = colours.text;
    pen.fillText(tickLabel(time, step), x, height - 9);
    pen.fillStyle = colours.quiet;
    if (date !== day) pen.fillText(date, x, height - 23);
    pen.fillRect(x, height - 5, 1, 5);
    day = date;
  }
}

function drawBars() {
  const { pen, width, height } = cleared(byId("bars"));
  const { scrollTop } = byId("rows");
  drawGrid(pen, height);
  pen.beginPath();
  pen.rect(plotLeft() - 8, 0, width, height);
  pen.clip();
  pen.translate(plotLeft(), 0);
  const { first, last } = indexesInView();
  const middle = narrow.matches ? 33 : 14;
  for (let index = first; index <= last; index += 1) {
    drawAction(pen, shown.rows[index], index * rowHeight() - scrollTop + middle);
  }
}

function drawGrid(pen, height) {
  pen.fillStyle = colours.line;
  for (const time of ticks(shown.from, shown.to, plotWidth(), 76)) {
    pen.fillRect(plotLeft() + xOf(time), 0, 1, height);
  }
}

function drawAction(pen, action, y) {
  const within = (time) => Math.min(Math.max(xOf(time), -10), plotWidth() + 10);
  if (action.end >= shown.from && action.start <= shown.to) {
    drawWait(
      pen,
      action.ending,
      [within(action.start), within(Math.min(action.seen, action.end)), within(action.end)],
      y,
    );
  }
  eachApart(action.looks.map(xOf), plotWidth(), (x) => drawLook(pen, x, y));
  eachApart(
    action.beats.map((beat) => xOf(beat.at)),
    plotWidth(),
    (x) => drawBeat(pen, x, y),
  );
  eachApart(action.signals.map(xOf), plotWidth(), (x) => drawSignal(pen, x, y));
  eachApart([xOf(action.end)], plotWidth(), (x) => drawEnding(pen, action.ending, x, y));
}

/** Show from `from` to `to`, within the whole and no shorter than a second. */
function showSpan(from, to) {
  const length = Math.min(Math.max(to - from, SHORTEST), whole.to - whole.from);
  shown.from = Math.min(Math.max(from, whole.from), whole.to - length);
  shown.to = shown.from + length;
  schedule();
}

/** Make the span shown `factor` times as long, around what stands at `share` of its width. */
function zoom(factor, share = 0.5) {
  const length = shown.to - shown.from;
  const around = shown.from + length * share;
  const wanted = Math.max(length * factor, SHORTEST);
  showSpan(around - wanted * share, around + wanted * (1 - share));
}

/** Move by a share of the span shown. */
function pan(share) {
  const by = (shown.to - shown.from) * share;
  showSpan(shown.from + by, shown.to + by);
}

/** Show all of these actions, and a little more. */
function fit(some) {
  if (!some.length) return;
  const { from, to } = wholeSpan(some);
  showSpan(from, to);
}

function rowsInView() {
  const { first, last } = indexesInView();
  return shown.rows.slice(first, last + 1);
}

const MOVES = {
  in: () => zoom(0.5),
  out: () => zoom(2),
  earlier: () => pan(-0.25),
  later: () => pan(0.25),
  fit: () => fit(shown.rows.slice(shown.chosen, shown.chosen + 1)),
  view: () => fit(rowsInView()),
  all: () => showSpan(whole.from, whole.to),
};

const KEYS = {
  ArrowDown: () => choose(shown.chosen + 1),
  ArrowUp: () => choose(shown.chosen - 1),
  PageDown: () => choose(shown.chosen + 10),
  PageUp: () => choose(shown.chosen - 10),
  Home: () => choose(0),
  End: () => choose(shown.rows.length - 1),
  Enter: () => tell(shown.chosen),
  " ": () => tell(shown.chosen),
  ArrowLeft: MOVES.earlier,
  ArrowRight: MOVES.later,
  "+": MOVES.in,
  "=": MOVES.in,
  "-": MOVES.out,
  f: MOVES.fit,
  v: MOVES.view,
  0: MOVES.all,
};

function onKey(event) {
  const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** The wheel scrolls, as it does anywhere; with Ctrl, or over the hours, it zooms, with Shift it moves. */
function onWheel(event) {
  const overHours = event.currentTarget === byId("axis");
  const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
  if (event.ctrlKey || event.metaKey || (overHours && !event.shiftKey)) {
    zoom(Math.exp(Math.sign(event.deltaY) * 0.25), shareAt(event.clientX));
  } else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
    pan(Math.sign(sideways) * 0.1);
  } else return;
  event.preventDefault();
}

function shareAt(clientX) {
  const x = clientX - byId("axis").getBoundingClientRect().left - plotLeft();
  return Math.min(Math.max(x / plotWidth(), 0), 1);
}

/** Drag the hours along; a drag is no click on the row under it. */
function onPointerDown(event) {
  if (event.button !== 0) return;
  const target = event.currentTarget;
  const began = { x: event.clientX, from: shown.from, to: shown.to };
  shown.dragged = false;
  const move = ({ clientX }) => {
    shown.dragged ||= Math.abs(clientX - began.x) > 4;
    const by = ((began.x - clientX) / plotWidth()) * (began.to - began.from);
    if (shown.dragged) showSpan(began.from + by, began.to + by);
  };
  const end = () => {
    window.removeEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) window.removeEventListener(name, end);
    target.style.userSelect = "";
  };
  target.style.userSelect = "none";
  window.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, end);
}

function onRowClick(event) {
  const row = event.target.closest("[role=option]");
  if (!row || shown.dragged) return;
  choose(Number(row.dataset.index));
  tell(shown.chosen);
}

function listenToTimeline() {
  const [axis, rows, options] = ["axis", "rows", "options"].map(byId);
  for (const button of document.querySelectorAll("[data-move]")) button.onclick = MOVES[button.dataset.move];
  for (const element of [axis, rows]) element.addEventListener("wheel", onWheel, { passive: false });
  for (const element of [axis, options]) element.addEventListener("pointerdown", onPointerDown);
  options.addEventListener("keydown", onKey);
  options.addEventListener("click", onRowClick);
  options.addEventListener("focusin", (event) => choose(Number(event.target.dataset.index), false));
  rows.addEventListener("scroll", () => {
    renewOptions();
    schedule();
  });
}

/** The marks explain themselves, drawn by what draws them. */
function drawLegend() {
  const present = Object.keys(END_WORDS).filter((ending) =>
    actions.some((action) => action.ending === ending),
  );
  const marks = [
    ["a wait; faint until Usher knew of it", (pen) => drawWait(pen, present[0], [2, 14, 34], 12)],
    ["evaluation", (pen) => [drawWait(pen, present[0], [2, 2, 34], 12), drawLook(pen, 18, 12)]],
    ["heartbeat", (pen) => [drawWait(pen, present[0], [2, 2, 34], 12), drawBeat(pen, 18, 12)]],
    ["signal", (pen) => [drawWait(pen, present[0], [2, 2, 34], 12), drawSignal(pen, 18, 12)]],
    ...present.map((ending) => [END_WORDS[ending], (pen) => drawEnding(pen, ending, 18, 12)]),
  ];
  const items = present.length ? marks.map(([words, draw]) => legendItem(words, draw)) : [];
  byId("legend").replaceChildren(...items);
}

function legendItem(words, draw) {
  const canvas = make("canvas", { "aria-hidden": "true" });
  const density = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: 36 * density, height: 24 * density });
  Object.assign(canvas.style, { width: "36px", height: "24px" });
  const pen = canvas.getContext("2d");
  pen.scale(density, density);
  draw(pen);
  return make("li", {}, canvas, words);
}
