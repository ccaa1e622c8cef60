"""Plugins that take or say too much."""

from __future__ import annotations

import json
import shutil
import sys
import time

from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext


class _Dataset(CheckPlugin[PluginConfig]):
    subject = "dataset"
    evidence = "check.bad"


class FillsTheDisk(_Dataset):
    """Writes for as long as it is let."""

    name = "fills-the-disk"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        with (ctx.folder / "big").open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(100_000))
                time.sleep(0.01)


class FillsAndLeaves(_Dataset):
    """Writes much, and is gone before anybody can look."""

    name = "fills-and-leaves"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        (ctx.folder / "big").write_bytes(bytes(2_000_000))
        return Evidence()


class Floods(_Dataset):
    """Prints 30 MB, some of it for a terminal to obey."""

    name = "floods"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        for number in range(300_000):
            sys.stdout.write(f"line {number:06d} \x1b]0;owned\x07" + "x" * 80 + "\n")
        sys.stdout.write(" 10%\r 20%\r\nthe last line\n")
        ctx.log("a bell \x07, and a title \x1b]0;owned\x07")
        return Evidence(metrics={"lines": 300_000.0}, summary="talked a lot")


class Churns(_Dataset):
    """Makes and removes folders without a pause, under the eyes of whoever measures them."""

    name = "churns"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            for number in range(40):
                folder = ctx.folder / "churn" / str(number) / "deep" / "deeper"
                folder.mkdir(parents=True)
                (folder / "file").write_bytes(b"x")
            shutil.rmtree(ctx.folder / "churn")
        return Evidence(metrics={"rounds": 1.0})


class Scribbles(_Dataset):
    """Writes into the event file what is no event: what a full disk or two processes leave there."""

    name = "scribbles"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        ctx.log_metric("loss", 0.5, step=1)
        with (ctx.folder / "events.jsonl").open("ab", buffering=0) as stream:
            stream.write(b'{"seq": 2, "type": "met{"seq": 2, "type": "metric"}\n')
            stream.write(b'"a word"\n\xff\xfe\n[]\n{}\n{"type": "metric", "seq": 3}\n')
            for value in ("NaN", '"high"', "null"):
                stream.write(
                    b'{"type":"metric","seq":4,"name":"loss","step":4,"value":%s}\n' % value.encode()
                )
            twice = {"type": "metric", "seq": 7, "name": "loss", "step": 7, "value": 0.25}
            stream.write(2 * (json.dumps(twice).encode() + b"\n"))
            long = {"type": "metric", "seq": 8, "name": "n" * 500, "step": 2**40, "value": 0.1}
            stream.write(json.dumps(long).encode() + b"\n")
        return Evidence(metrics={"done": 1.0})
