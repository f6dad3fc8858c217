// What can be done: a form with a reason, then the sentence to confirm.

const RESULTS = ["CONTINUE", "ABANDON"];
const STATUSES = ["done", "failed", "progress"];
const acting = { name: "", of: {}, body: {} };

const field = (label, input) => make("label", {}, `${label} `, input);
const choice = (name, options) =>
  make(
    "select",
    { name, required: true },
    make("option", { value: "" }, "choose"),
    ...options.map((option) => make("option", {}, option)),
  );

const reasonField = () =>
  field("Reason, recorded in the timeline", make("input", { name: "reason", required: true, maxLength: 500, autocomplete: "off" }));

/** What each does: its button, what the form says, what it asks for besides the reason, what is confirmed. */
const ACTS = {
  hold: {
    label: "Hold …",
    title: "Hold",
    about: () => "It stays in its wait, whatever its policy says, until the hold is ended or a result is requested.",
    fields: () => [],
    sentence: (of) => `Hold ${of.instance_id} in hook ${of.hook}?`,
    fits: (of) => !of.held,
  },
  unhold: {
    label: "End the hold …",
    title: "End the hold of",
    about: (of) => `Then its policy counts again: ${of.waits_for}`,
    fields: () => [],
    sentence: (of) => `End the hold of ${of.instance_id} in hook ${of.hook}?`,
    fits: (of) => Boolean(of.held),
  },
  extend: {
    label: "Extend …",
    title: "Extend",
    about: (of) => `Its policy gives up at ${moment(of.gives_up_at)} UTC.`,
    fields: () => [
      field("By", make("input", { name: "by", required: true, placeholder: "45m", pattern: "([0-9]+[hms])+", autocomplete: "off" })),
    ],
    sentence: (of, body) => `Let ${of.instance_id} wait ${body.by} longer in hook ${of.hook}?`,
    fits: () => true,
  },
  complete: {
    label: "Complete …",
    title: "Complete",
    about: (of) => `It has waited ${duration(of.age_s)} for: ${of.waits_for || "nothing"}`,
    fields: () => [field("Result", choice("result", RESULTS))],
    sentence: (of, body) =>
      `End the wait of ${of.instance_id} in hook ${of.hook} with ${body.result}? This cannot be undone.`,
    fits: () => true,
  },
  signal: {
    label: "Signal …",
    title: "Signal to",
    about: () => "It is sent as its workload would send it.",
    fields: (of) => [
      field("Signal", choice("signal", of.signals)),
      field("Status", choice("status", STATUSES)),
    ],
    sentence: (of, body) => `Send signal ${body.signal}, ${body.status}, to ${of.instance_id} in hook ${of.hook}?`,
    fits: (of) => of.signals.length > 0,
  },
  release: {
    label: "Release …",
    title: "Release",
    about: (of) => `It is terminated, without a decrement of ${of.group}. Kept because: ${of.why}`,
    fields: () => [],
    sentence: (of) => `Terminate the retained instance ${of.instance_id} of ${of.group}? This cannot be undone.`,
    fits: () => true,
  },
};

/** The button of an act, or in words why there is none. */
function actButton(name, of) {
  if (about.read_only || !about.acts.includes(name)) return "";
  if (denied.has(name)) return make("span", { className: "quiet" }, `${ACTS[name].label.replace(" …", "")}: not permitted`);
  const onclick = () => openAct(name, of);
  return make("button", { type: "button", onclick, "aria-haspopup": "dialog" }, ACTS[name].label);
}

function actButtons(of) {
  if (of.closed_at || of.result) return [];
  const names = ["hold", "unhold", "extend", "complete", "signal"].filter((name) => ACTS[name].fits(of));
  return names.map((name) => actButton(name, of)).filter(Boolean);
}

function openAct(name, of) {
  Object.assign(acting, { name, of });
  const act = ACTS[name];
  byId("act-title").textContent = plain(`${act.title} ${of.instance_id}`);
  byId("act-about").textContent = plain(act.about(of));
  byId("act-fields").replaceChildren(...act.fields(of), reasonField());
  byId("act-trouble").textContent = "";
  byId("act").showModal();
}

function confirmAct(fields) {
  const { name, of } = acting;
  acting.body = { ...fields, id: of.id, instance_id: of.instance_id };
  byId("confirm-text").textContent = plain(ACTS[name].sentence(of, fields));
  byId("confirm-reason").textContent = `Reason: ${fields.reason}`;
  byId("confirm-yes").textContent = `Yes, ${ACTS[name].title.split(" ")[0].toLowerCase()}`;
  byId("confirm").showModal();
  byId("confirm-no").focus();
}

/** What closes gives the focus back, so it is closed before the focus is set. */
async function doAct() {
  const { name, body } = acting;
  byId("confirm-yes").disabled = true;
  const answer = await send(name, body).catch((error) => error);
  byId("confirm-yes").disabled = false;
  byId("confirm").close();
  if (answer instanceof Error) {
    if (answer.isDenied) denied.add(name);
    byId("act-trouble").textContent = answer.message;
    byId("act-next").disabled = denied.has(name);
    await renew();
    return;
  }
  byId("act").close();
  news([answer.done, ...answer.warnings].join(" "));
  await renew();
  byId(byId("story").open ? "story-title" : `tab-${current.tab}`).focus();
}

function listenToActs() {
  onSubmit("act-form", confirmAct);
  byId("act-cancel").onclick = () => byId("act").close();
  byId("act").addEventListener("close", () => (byId("act-next").disabled = false));
  byId("confirm-no").onclick = () => byId("confirm").close();
  byId("confirm-yes").onclick = doAct;
}
