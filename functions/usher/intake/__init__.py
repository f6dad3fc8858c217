"""Takes in messages: what they say is durable before they are acknowledged."""
