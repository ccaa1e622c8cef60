"""Licences of data and software by their SPDX names, and expressions of them.

A part of the list at https://spdx.org/licenses: those that data sets and models
commonly carry. A contract of one's own is `LicenseRef-NAME`, as SPDX writes it.
"""

from __future__ import annotations

import re

PUBLIC_DOMAIN = ("CC0-1.0", "PDDL-1.0", "Unlicense", "CC-PDDC", "0BSD", "MIT-0")
PERMISSIVE = (
    "AFL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "C-UDA-1.0",
    "CC-BY-1.0", "CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-3.0-IGO", "CC-BY-4.0", "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0", "DL-DE-BY-2.0", "DL-DE-ZERO-2.0", "ECL-2.0", "etalab-2.0", "ISC", "MIT", "NCSA",
    "NLOD-1.0", "NLOD-2.0", "ODC-By-1.0", "OGL-Canada-2.0", "OGL-UK-1.0", "OGL-UK-2.0", "OGL-UK-3.0",
    "OGC-1.0", "PostgreSQL", "PSF-2.0", "Python-2.0", "Unicode-3.0", "Unicode-DFS-2016", "UPL-1.0", "Zlib",
)  # fmt: skip
RECIPROCAL = (
    "AGPL-3.0-only", "AGPL-3.0-or-later", "CC-BY-SA-1.0", "CC-BY-SA-2.0", "CC-BY-SA-2.5", "CC-BY-SA-3.0",
    "CC-BY-SA-4.0", "CDLA-Sharing-1.0", "EPL-2.0", "EUPL-1.1", "EUPL-1.2", "GFDL-1.3-only",
    "GFDL-1.3-or-later", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later",
    "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0", "ODbL-1.0",
)  # fmt: skip
RESTRICTED = (
    "CC-BY-NC-1.0", "CC-BY-NC-2.0", "CC-BY-NC-2.5", "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-1.0",
    "CC-BY-NC-ND-2.0", "CC-BY-NC-ND-2.5", "CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-1.0",
    "CC-BY-NC-SA-2.0", "CC-BY-NC-SA-2.5", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-1.0",
    "CC-BY-ND-2.0", "CC-BY-ND-2.5", "CC-BY-ND-3.0", "CC-BY-ND-4.0", "BUSL-1.1", "SSPL-1.0",
)  # fmt: skip

_KNOWN = {name.casefold(): name for name in (*PUBLIC_DOMAIN, *PERMISSIVE, *RECIPROCAL, *RESTRICTED)}
KNOWN = tuple(_KNOWN.values())
_OWN = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")


def spdx_name(word: str) -> str:
    """The licence as SPDX writes it; empty if it is none of those known here. Case does not matter."""
    return word if _OWN.fullmatch(word) else _KNOWN.get(word.casefold(), "")


def choices(expression: str) -> list[list[str]] | None:
    """What an SPDX expression offers: any of these lists of licences, all of a list together.

    `MIT OR Apache-2.0 AND CC-BY-4.0` is `[[MIT], [Apache-2.0, CC-BY-4.0]]`. None if a word of it is not
    known, or it has parentheses or exceptions, which data hardly ever carries.
    """
    found = [
        [spdx_name(word.strip()) for word in re.split(r"\s+AND\s+", part)]
        for part in re.split(r"\s+OR\s+", expression.strip())
    ]
    return found if all(all(part) for part in found) else None
