"""Captured messages through the real handlers."""
