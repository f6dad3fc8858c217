// The page as a whole: the session, and the tabs.

const current = { tab: "held" };
const TABS = { held: poll, history: readHistory, retained: readRetained, config: readConfig };

/** Read what is shown once more. */
async function renew() {
  await TABS[current.tab]();
  if (byId("story").open && current.tab !== "held") await telling("asked", () => readStory(read.of, false));
}

function showTab(name, focus = false) {
  current.tab = name;
  news("");
  for (const each of Object.keys(TABS)) {
    const tab = byId(`tab-${each}`);
    tab.setAttribute("aria-selected", String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
    byId(each).hidden = each !== name;
  }
  if (focus) byId(`tab-${name}`).focus();
  TABS[name]();
}

function onTabKey(event) {
  const names = Object.keys(TABS);
  const index = names.indexOf(current.tab);
  const places = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: names.length - 1 };
  if (!(event.key in places)) return;
  event.preventDefault();
  showTab(names.at(places[event.key] % names.length), true);
}

async function start() {
  const refused = await enter().catch((error) => error);
  const told = await ask("about").catch((error) => Promise.reject(refused ?? error)); // a cookie of before will do
  Object.assign(about, told);
  byId("place").textContent = `Stack ${about.stack} in ${about.region}, as ${about.who}`;
  byId("read-only").hidden = !about.read_only;
  byId("tabs").hidden = false;
  for (const name of Object.keys(TABS)) byId(`tab-${name}`).onclick = () => showTab(name);
  byId("tabs").addEventListener("keydown", onTabKey);
  listenToActs();
  listenToHeld();
  listenToClosed();
  past.filter = fieldsOf(byId("history-filter"));
  showTab("held");
}

telling("asked", start);
