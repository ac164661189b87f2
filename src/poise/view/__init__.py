"""A run as it grows, on a terminal: `poise watch`."""
