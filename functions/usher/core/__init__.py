"""The pure core: values and decisions. No AWS, no environment, no clock, no randomness, no logging."""
