// The data of the page.

const data = JSON.parse(byId("data").textContent);
const actions = data.actions.map(prepared);
const whole = wholeSpan(actions);

function wholeSpan(some) {
  if (!some.length) return { from: 0, to: SECOND };
  let [from, to] = [Infinity, -Infinity];
  for (const action of some) {
    from = Math.min(from, action.start);
    to = Math.max(to, action.end);
  }
  const room = Math.max((to - from) * 0.02, SECOND);
  return { from: from - room, to: to + room };
}
