"""The one place that asks the machine: a module for each function, and what they share."""
