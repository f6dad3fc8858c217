"""Promise 6, for what a condition starts: however often it is looked at, it is started once."""

from __future__ import annotations

from simulator.judge.scene import Checker


class StartedOnce(Checker):
    """Whoever sends a command stores first that it will, and looks for it before it sends again."""

    promise = "6 level, not edge: started once"

    def finished(self) -> None:
        """Where answers get lost, or lists are behind, one more may be sent; and after a restore."""
        if not self.scene.asked.is_reliable or self.scene.restored_at is not None:
            return
        for comment, starts in self.scene.asked.starts.items():
            if starts > 1:
                self.broken(f"the command {comment!r} was sent {starts} times")
