"""A plugin whose package is not installed."""

from __future__ import annotations

from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext


class NeedsMore(CheckPlugin[PluginConfig]):
    """Needs a package that nobody has."""

    name = "needs-more"
    subject = "dataset"
    requires = ("no_such_package_anywhere",)
    extra = "imaginary"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        return Evidence()
