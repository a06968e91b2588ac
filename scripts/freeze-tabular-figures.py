#!/usr/bin/env python3
"""Makes the font files in assets/fonts from their originals.

egui shapes text without choosing OpenType features, so the tabular figures of
Inter are made the default ones here: the character map points at the glyphs
that the feature `tnum` would choose. Ligatures are dropped from both text
fonts, and every file keeps only the characters that the window and the report
use. The icon files keep the code points that src/ui/icons.rs lists.

    pip install fonttools
    python3 scripts/freeze-tabular-figures.py INTER_DIR JETBRAINS_DIR PHOSPHOR_DIR

INTER_DIR holds Inter-Regular.otf, -Medium.otf, -SemiBold.otf (Inter 4),
JETBRAINS_DIR holds JetBrainsMono-Regular.ttf, and PHOSPHOR_DIR is the folder
`src` of the package @phosphor-icons/web 2.1.
"""

import pathlib
import re
import sys

from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "assets" / "fonts"
LIMIT_BYTES = 200_000

LETTERS = [
    (0x0020, 0x007E),  # Latin
    (0x00A0, 0x017F),  # Latin-1 and Extended-A
    (0x0218, 0x021B),  # Romanian
    (0x02C6, 0x02DD),  # accents that stand alone
    (0x0391, 0x03C9),  # Greek
    (0x0400, 0x045F),  # Cyrillic
    (0x1E9E, 0x1E9E),  # capital sharp s
]
SYMBOLS = [
    (0x2002, 0x200A), (0x2010, 0x2015), (0x2018, 0x201E), (0x2020, 0x2022),
    (0x2026, 0x2026), (0x202F, 0x2030), (0x2032, 0x2033), (0x2039, 0x203A),
    (0x2044, 0x2044), (0x2070, 0x2079), (0x2080, 0x2089), (0x20AC, 0x20AC),
    (0x2116, 0x2116), (0x2122, 0x2122), (0x2190, 0x2199), (0x21B3, 0x21B3),
    (0x21B5, 0x21B5), (0x21E7, 0x21E7), (0x2206, 0x2206), (0x2211, 0x2212),
    (0x2215, 0x2215), (0x221A, 0x221A), (0x221E, 0x221E), (0x2248, 0x2248),
    (0x2260, 0x2260), (0x2264, 0x2265), (0x2303, 0x2303), (0x2318, 0x2318),
    (0x2325, 0x2325), (0x23CE, 0x23CE), (0x25A0, 0x25A1), (0x25B2, 0x25B2),
    (0x25BC, 0x25BC), (0x25C6, 0x25C7), (0x25CB, 0x25CB), (0x25CF, 0x25CF),
    (0x2713, 0x2713), (0x2717, 0x2717),
]


def text_characters() -> set[int]:
    return {c for first, last in LETTERS + SYMBOLS for c in range(first, last + 1)}


def icon_characters() -> set[int]:
    table = (ROOT / "src" / "ui" / "icons.rs").read_text()
    return {int(code, 16) for code in re.findall(r"\\u\{([0-9a-f]{4})\}", table)}


def freeze_tabular(font: TTFont) -> int:
    """Points the character map at the `tnum` glyphs; the number replaced."""
    gsub = font["GSUB"].table
    swaps: dict[str, str] = {}
    for record in gsub.FeatureList.FeatureRecord:
        if record.FeatureTag != "tnum":
            continue
        for index in record.Feature.LookupListIndex:
            for table in gsub.LookupList.Lookup[index].SubTable:
                table = getattr(table, "ExtSubTable", table)
                swaps.update(getattr(table, "mapping", {}))
    replaced = 0
    for table in font["cmap"].tables:
        for code, glyph in list(table.cmap.items()):
            if glyph in swaps:
                table.cmap[code] = swaps[glyph]
                replaced += 1
    return replaced


def cut(font: TTFont, characters: set[int], features: list[str]) -> TTFont:
    options = subset.Options()
    options.layout_features = features
    options.hinting = False
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17]
    options.drop_tables += ["DSIG"]
    options.notdef_outline = True
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    return font


def save(font: TTFont, name: str) -> None:
    path = OUT / name
    font.save(path)
    size = path.stat().st_size
    print(f"{name}: {len(font.getBestCmap())} characters, {size:,} bytes")
    if size > LIMIT_BYTES:
        sys.exit(f"{name} is larger than {LIMIT_BYTES:,} bytes")


def main(inter: str, jetbrains: str, phosphor: str) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for weight in ("Regular", "Medium", "SemiBold"):
        font = TTFont(pathlib.Path(inter) / f"Inter-{weight}.otf")
        if freeze_tabular(font) < 10:
            sys.exit(f"Inter-{weight}.otf has no tabular figures")
        save(cut(font, text_characters(), ["kern", "mark", "mkmk", "ccmp"]), f"Inter-{weight}.otf")
    mono = TTFont(pathlib.Path(jetbrains) / "JetBrainsMono-Regular.ttf")
    save(cut(mono, text_characters(), ["mark", "mkmk", "ccmp"]), "JetBrainsMono-Regular.ttf")
    for folder, name in (("regular", "Phosphor"), ("bold", "Phosphor-Bold"), ("fill", "Phosphor-Fill")):
        font = TTFont(pathlib.Path(phosphor) / folder / f"{name}.ttf")
        save(cut(font, icon_characters(), []), f"{name}.ttf")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
