"""Promise 6, for what a condition starts: however often it is asked, it is started once."""

from __future__ import annotations

from usher_simulator.trials.judge.scene import Checker


class StartedOnce(Checker):
    """Whoever sends a command stores first that it will, and looks for it before it sends again."""

    promise = "6 level, not edge: started once"

    def finished(self) -> None:
        """Where an answer got lost, or a list was behind, one more may be sent; and after a restore."""
        asked = self.scene.asked
        for (instance_id, comment), starts in asked.starts.items():
            is_sure = instance_id not in asked.in_doubt and self.scene.restored_at is None
            if starts > 1 and is_sure:
                self.broken(f"the command {comment!r} was sent to {instance_id} {starts} times")
