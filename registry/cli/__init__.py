"""The command line: one file per noun; commands parse, call and render."""
