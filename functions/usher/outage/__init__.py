"""What holds an instance while the table does not answer (ADR 19)."""
