"""The hooks file for people: read with line numbers, warned of, explained, held against AWS's limits."""
