// The history, what is retained, and the configuration: read when they are asked for.

const ROWS_MAX = 500;
const past = { filter: {}, limit: 50 };

async function readHistory() {
  await telling("asked", async () => {
    const page = await ask("history", { ...past.filter, limit: past.limit });
    fill("history-table", page.actions.map(historyCells), "Nothing that matches was closed in this period.");
    byId("history-more").hidden = !page.more || past.limit >= ROWS_MAX;
    byId("history-count").textContent = inShort(page);
  });
}

const historyCells = (action) => [
  moment(action.closed_at).slice(0, 19),
  storyOf(action.id, action.instance_id),
  action.group,
  action.hook,
  [action.outcome.replace("_", " "), action.result].filter(Boolean).join(" "),
  duration(action.age_s),
  action.reason ?? "",
];

function inShort(page) {
  const { actions, outcomes, waits_s: waits } = page.totals;
  if (!actions) return "No closed action.";
  const ends = Object.entries(outcomes).map(([end, number]) => `${count(number)} ${end.replace("_", " ")}`);
  const shown = page.more ? `The newest ${count(actions)}` : counted(actions, "closed action");
  return `${shown}: ${ends.join(", ")}; half of them waited up to ${duration(waits.p50)}, the longest ${duration(waits.max)}.`;
}

async function readRetained() {
  await telling("asked", async () => {
    const found = await ask("retained");
    fill("retained-table", found.retained.map(retainedCells), "No instance is retained.");
    const { length } = found.retained;
    const cost = found.cost_per_day.toFixed(2);
    byId("retained-count").textContent = length
      ? `${counted(length, "instance")} retained, ${cost} USD a day` +
        `${found.without_price ? `, without ${count(found.without_price)} whose price is not known` : ""} ` +
        `(prices: ${found.prices}).`
      : "They are instances that a failed termination keeps, running and billed.";
  });
}

const retainedCells = (one) => [
  one.action_id ? storyOf(one.action_id, one.instance_id) : one.instance_id,
  one.group,
  one.since ? moment(one.since).slice(0, 19) : "unknown",
  one.age_s === null ? "–" : duration(one.age_s),
  one.instance_type ?? "–",
  one.cost_per_day === null ? "–" : one.cost_per_day.toFixed(2),
  one.why,
  actButton("release", one) || "–",
];

async function readConfig() {
  await telling("asked", async () => {
    const config = await ask("config");
    byId("config-about").textContent = config.in_effect
      ? `Version ${count(config.in_effect)} is in effect.`
      : "No hooks file was applied: the one of the deployment counts, and the enrolled hooks show it.";
    byId("config-text").hidden = !config.written;
    byId("config-text").textContent = config.written ?? "";
    fill("versions-table", config.versions.map(versionCells), "None.");
    const { length } = config.enrolled;
    byId("enrolled-count").textContent =
      length < config.enrolled_in_all ? `${count(length)} of ${count(config.enrolled_in_all)}.` : "";
    fill("enrolled-table", config.enrolled.map((one) => [one.group, one.hook, one.state]), "None.");
  });
}

const versionCells = (version) => [
  count(version.version),
  version.status,
  moment(version.effective_at).slice(0, 19),
  version.by,
  version.reason,
];

function listenToClosed() {
  onSubmit("history-filter", (filter) => {
    Object.assign(past, { filter, limit: 50 });
    readHistory();
  });
  byId("history-more").onclick = () => {
    past.limit = Math.min(2 * past.limit, ROWS_MAX);
    readHistory();
  };
  byId("retained-again").onclick = readRetained;
}
