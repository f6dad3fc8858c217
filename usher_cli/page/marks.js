// How things look on a canvas: colours from the style sheet, a shape for each ending.

const colours = {};

/** Take the colours anew: they differ between light and dark. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "surface", "line", "text", "quiet", ...Object.keys(END_WORDS)]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

/** A canvas in the size that it is shown in, cleared; returns its pen and its size in CSS pixels. */
function cleared(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const pen = canvas.getContext("2d");
  pen.scale(density, density);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  return { pen, width, height };
}

const OUTLINES = {
  CONTINUE: new Path2D("M-5 -6 L6 0 L-5 6 Z"),
  ABANDON: new Path2D("M-6 -6 H6 V6 H-6 Z"),
  ended_elsewhere: new Path2D("M-3 -6 H3 V6 H-3 Z"),
  defaulted: new Path2D("M0 -7 L7 0 L0 7 L-7 0 Z"),
  open: new Path2D("M-6 -2 H6 V2 H-6 Z"),
};

/** The mark of an ending: told by its shape as well as by its colour. */
function drawEnding(pen, ending, x, y) {
  pen.save();
  pen.translate(x, y);
  pen.lineWidth = 2;
  pen.strokeStyle = colours.paper;
  pen.stroke(OUTLINES[ending]);
  pen.fillStyle = colours[ending];
  pen.fill(OUTLINES[ending]);
  pen.restore();
}

function drawBeat(pen, x, y) {
  pen.fillStyle = colours.text;
  pen.fillRect(x - 0.75, y - 9, 1.5, 18);
}

function drawLook(pen, x, y) {
  pen.fillStyle = colours.paper;
  pen.fillRect(x - 1, y - 2.5, 2, 5);
}

function drawSignal(pen, x, y) {
  pen.beginPath();
  pen.arc(x, y - 8, 3, 0, 2 * Math.PI);
  pen.fillStyle = colours.text;
  pen.fill();
}

/** The wait: faint from the start until Usher knew of it, full from there on. */
function drawWait(pen, ending, [start, seen, end], y) {
  pen.fillStyle = colours[ending];
  pen.globalAlpha = 0.4;
  pen.fillRect(start, y - 4, seen - start, 8);
  pen.globalAlpha = 1;
  pen.fillRect(seen, y - 4, Math.max(end - seen, 1), 8);
}

/** Call `draw` for each of the rising `positions` in view that stands apart from the one before. */
function eachApart(positions, width, draw) {
  let last = -Infinity;
  for (const x of positions) {
    if (x < -8 || x > width + 8 || x - last < 3) continue;
    draw(x);
    last = x;
  }
}

const WEEK_S = 604800;
const STEPS_S = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
  172800,
];

/** The round times of a span that leave `room` pixels to each. */
function ticks(from, to, width, room) {
  const least = (((to - from) / width) * room) / SECOND;
  const step = (STEPS_S.find((seconds) => seconds >= least) ?? Math.ceil(least / WEEK_S) * WEEK_S) * SECOND;
  const times = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) times.push(time);
  return times;
}

/** What stands at a tick: the hour, to the second or finer where the ticks are that near. */
function tickLabel(time, step) {
  const clock = new Date(time).toISOString().slice(11, 23);
  if (step < SECOND) return clock.slice(0, 10);
  return step < 60 * SECOND ? clock.slice(0, 8) : clock.slice(0, 5);
}
