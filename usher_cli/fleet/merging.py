"""The pages of `usher list` of all sites, as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher_cli.report import written

if TYPE_CHECKING:
    from datetime import datetime

    from usher_cli.fleet.asking import Answers


def merged(answers: Answers[dict[str, Any]], now: datetime, limit: int) -> dict[str, Any]:
    """What `usher list --fleet --json` prints: the keys of each page, with the site beside what is of it."""
    actions = [{**site.names, **action} for site, page in answers.told for action in page["actions"]]
    actions.sort(key=lambda action: (action["expires_at"], action["account"], action["region"], action["id"]))
    return {
        "at": written(now),
        "open": sum(page["open"] for _, page in answers.told),
        "more": any(page["more"] for _, page in answers.told) or len(actions) > limit,
        "sites": [
            {**site.names, "stack": site.place.stack, "open": page["open"]} for site, page in answers.told
        ],
        "failed": [each.data for each in answers.failed],
        "unreadable": [
            {**site.names, "id": one} for site, page in answers.told for one in page["unreadable"]
        ],
        "paused": [{**site.names, **pause} for site, page in answers.told for pause in page["paused"]],
        "actions": actions[:limit],
    }
