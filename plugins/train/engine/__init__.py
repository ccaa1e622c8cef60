"""How torch trains here: one loop, whatever is learned and on however many processes."""
