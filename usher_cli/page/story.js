// The story of one action: its facts, and everything that happened to it.

function facts(action) {
  const way = action.origin ? `, ${action.origin} → ${action.destination}` : "";
  const timeout = duration(action.heartbeat_timeout_s);
  const hook = `${action.hook} (heartbeat timeout ${timeout}, default ${action.default_result})`;
  const late = duration((action.seen - action.start) / SECOND);
  return [
    fact("Reason", action.reason),
    fact("Held", duration(action.held)),
    fact("Group", action.group),
    fact("Hook", hook),
    fact("Policy", action.policy),
    fact("Transition", `${action.transition}${way}`),
    fact("Started", moment(action.started_at)),
    fact("First seen", `${moment(action.first_seen_at)}, after ${late}`),
    fact("Closed", moment(action.closed_at)),
    fact("Heartbeats", count(action.heartbeats)),
    fact("Smallest margin", duration(action.least)),
    fact("Received by", action.received_by.join(", ")),
    fact("Token", action.token ?? "none (adopted)"),
  ];
}

function storyLines(action) {
  const margins = new Map(action.beats.map((beat) => [beat.at, beat.margin]));
  return action.timeline.map((line) => {
    const at = Date.parse(line.at);
    const times = line.count ? ` (${line.count} times, the last at ${moment(line.last_at).slice(11)})` : "";
    const margin = line.event === "heartbeat" && margins.has(at) ? duration(margins.get(at)) : "";
    return make(
      "tr",
      {},
      cell(moment(line.at), "time"),
      cell(duration((at - action.start) / SECOND), "number"),
      cell(line.event),
      cell(line.detail + times),
      cell(margin, "number"),
    );
  });
}
