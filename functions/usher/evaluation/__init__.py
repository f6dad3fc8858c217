"""One evaluation of an action, and what it needs: the call budget, wake-ups, a guard against stale waits."""
