"""One verb each: what the registry can do, as functions on an open transaction."""
