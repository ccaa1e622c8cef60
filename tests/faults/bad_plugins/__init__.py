"""Plugins that do what plugins should not. `bad_plugins.dist` installs them for a test's processes."""
