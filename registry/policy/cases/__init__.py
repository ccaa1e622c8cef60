"""Cases: what a policy must say of a given dossier, read from YAML, judged, counted and mutated."""
