// The dialog with the story of one row.

let told = 0; // its place among the rows

/** Open the story of the row at `index`. */
function tell(index) {
  const action = shown.rows[index];
  if (!action) return;
  told = index;
  byId("story-title").textContent = `${action.instance_id}: ${END_WORDS[action.ending]}`;
  byId("story-facts").replaceChildren(...facts(action));
  byId("story-table").tBodies[0].replaceChildren(...storyLines(action));
  byId("story-before").disabled = index === 0;
  byId("story-after").disabled = index === shown.rows.length - 1;
  if (!byId("story").open) byId("story").showModal();
  byId("story").scrollTop = 0;
  byId("story-title").focus();
}

/** A button that tells the story of an action, wherever it stands among the rows. */
function storyButton(action) {
  const onclick = () => tell(shown.rows.indexOf(action));
  return make("button", { type: "button", onclick, "aria-haspopup": "dialog" }, action.instance_id);
}

function listenToStory() {
  byId("story-before").onclick = () => tell(told - 1);
  byId("story-after").onclick = () => tell(told + 1);
  byId("story-close").onclick = () => byId("story").close();
  byId("margins").onclick = (event) => tell(rowOfMarginAt(event));
}
