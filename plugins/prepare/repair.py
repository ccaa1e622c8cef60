"""Repair of one text: wrong decoding, control characters, Unicode form, space."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repaired:
    """A text, and what was wrong with it.

    Attributes:
        mojibake: It had been decoded with the wrong encoding.
        control: It held control characters other than space.
    """

    text: str
    mojibake: bool = False
    control: bool = False


# C1 controls can be half of a mojibake, so they go only after its repair.
_C1 = re.compile("[\x80-\x9f]")


def text_repairer() -> Callable[[str], Repaired]:
    """A function that repairs one text; repairing what it returns changes nothing more.

    It is made once and used often, so that ftfy is imported when there is work, and only then.
    """
    import ftfy
    from ftfy.fixes import remove_control_chars

    # Wrong decoding only: curly quotes, ligatures, wide letters and HTML entities may be meant.
    decoding = ftfy.TextFixerConfig(
        unescape_html=False,
        remove_terminal_escapes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        remove_control_chars=False,
        normalization=None,
        explain=False,
    )

    def repair(text: str) -> Repaired:
        if text.isascii() and text.isprintable():
            return Repaired(" ".join(text.split()))
        mojibake = control = False
        # One step can lay bare work for another: a control character inside a mojibake hides it.
        before = None
        while text != before:
            before = text
            visible = remove_control_chars(text)
            decoded = ftfy.fix_text(visible, decoding)
            plain = _C1.sub("", decoded)
            mojibake |= decoded != visible
            control |= visible != text or plain != decoded
            text = unicodedata.normalize("NFC", " ".join(plain.split()))
        return Repaired(text, mojibake, control)

    return repair
