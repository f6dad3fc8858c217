"""The Store in DynamoDB: one table, conditional writes, and a sparse index of the actions.

pk              sk
ACTION#id       STATE                         the action, with its last lines; in the index `actions`
                FINDINGS                      what its conditions found; in `actions` while it is to be asked
                LINE#number                   earlier lines of its timeline, a dozen or more, by their first
                RAW#sha256 of the body        a notification as it came
TOKEN#token     ACTION                        claims the token for an action
                SIGNAL#name#kind              the last signal of that name: what was done, or progress
INSTANCE#id     ACTION#start#action id        points to an action
                HEARD#time#END#activity id    an outcome event
                HEARD#ENDED                   EC2 has ended it; sorts after all times, as does
                HEARD#STATE                   EC2's newest word on whether it is stopped
                SIGNAL#name#kind              as above; of a token that is not known a kind of its own
SAID#addressee  order of a signal             one that was replaced, for an export: one a minute
GROUP#name      TEST#request id               a test message
                HEARD                         a lifecycle message came, and when
                DESCRIBED                     the heartbeat timeouts that stood when it was last described
                DESCRIBING                    who is to describe it now
                RETAINED                      its retained instances, and when each was first seen
PAUSED          HOOK#name, or HOOK#*          an operator paused the hook, or all of them
TRIED           GROUP#name                    the waits of a group that hold no action of ours
"""

from usher.aws.items.actions import ActionItems
from usher.aws.items.closed_actions import ClosedActionItems
from usher.aws.items.described_hooks import DescribedHookItems
from usher.aws.items.evidence import EvidenceItems
from usher.aws.items.findings import FindingItems
from usher.aws.items.foreign_waits import ForeignWaitItems
from usher.aws.items.group_evidence import GroupEvidenceItems
from usher.aws.items.open_actions import OpenActionItems
from usher.aws.items.retained import RetainedItems


class RecordTable(
    ActionItems,
    OpenActionItems,
    ClosedActionItems,
    FindingItems,
    EvidenceItems,
    GroupEvidenceItems,
    DescribedHookItems,
    ForeignWaitItems,
    RetainedItems,
):
    """Implements usher.ports.records.ReconcileStore: all kinds of items in one table."""
