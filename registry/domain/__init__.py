"""Pure facts of the registry: no input, no output, no database."""
