#!/usr/bin/env python3
"""Puts baselines of single versions together: one file a major version, each object once with the minors that have it.

Usage: scripts/medusa-baselines.py FOLDER [ASSETS]
  FOLDER  files written by scripts/medusa-baseline.sh, one a version (2.13.6.json)
  ASSETS  assets/medusa by default: v1.json, v2.json, migrations.txt are written there

Versions that ASSETS holds already stay unless FOLDER brings the same minor, so that one release is added without making the others again.
"""

import json
import pathlib
import sys


def minor(version):
    return tuple(int(part) for part in version.split(".")[:2])


def word(at):
    return ".".join(map(str, at))


def index_key(index, constraints):
    """What makes an index, without what is absent."""
    index = {**index, "constraint": index.get("constraint") or constraints.get((index["table"], index["name"]))}
    return json.dumps({k: index[k] for k in PARTS if index.get(k) not in (None, False, [])})


def objects(raw):
    """Every object of one version as (kind, text)."""
    found = {("tables", json.dumps({"name": t})) for t in raw["tables"]}
    found |= {("link_tables", json.dumps({"name": t})) for t in raw["link_tables"]}
    constraints = {(c["table"], c["name"]): c["kind"] for c in raw["constraints"] if c["kind"] in "pux"}
    found |= {("indexes", index_key(i, constraints)) for i in raw["indexes"]}
    # Keys and unique constraints are told by their indexes; no check asks for the others.
    keys = (c for c in raw["constraints"] if c["kind"] == "f")
    found |= {("foreign_keys", json.dumps({"table": c["table"], "columns": c["columns"]})) for c in keys}
    return {(kind, json.dumps(json.loads(text), separators=(",", ":"))) for kind, text in found}


def is_migration(name):
    """Not a script of db:migrate:scripts: those are kept in a table of their own, which the version is not told from."""
    return not name.endswith((".js", ".ts"))


def migrations(raw):
    names = {name for name in raw["migrations"] if is_migration(name)}
    names -= {name for redis in ENGINES.values() for name in redis}
    return names | {other for name in names for other in ENGINES.get(name, [])}


def expanded(union, names):
    """The versions that were put together before."""
    order = [minor(r["minor"]) for r in union["releases"]]
    versions = {at: {"release": r["version"], "objects": set(), "migrations": set()} for at, r in zip(order, union["releases"])}
    for kind in KINDS:
        for entry in union[kind]:
            since, until = minor(entry.pop("since", word(order[0]))), minor(entry.pop("until", word(order[-1])))
            text = json.dumps(entry, separators=(",", ":"))
            for at in order:
                if since <= at <= until:
                    versions[at]["objects"].add((kind, text))
    for since, until, name in names:
        for at in order:
            if since <= at <= until:
                versions[at]["migrations"].add(name)
    return versions


def runs(order, have):
    """Unbroken runs of minors, as (first, last)."""
    run = []
    for at in order:
        if at in have:
            run.append(at)
        elif run:
            yield run[0], run[-1]
            run = []
    if run:
        yield run[0], run[-1]


def union_text(major, versions):
    order = sorted(versions)
    lines = [f'{{"major":{major},', '"releases":[']
    lines.append(",\n".join(json.dumps({"minor": word(at), "version": versions[at]["release"]}, separators=(",", ":")) for at in order))
    for kind in KINDS:
        lines.append(f'],"{kind}":[')
        entries = []
        for text in {t for at in order for k, t in versions[at]["objects"] if k == kind}:
            have = {at for at in order if (kind, text) in versions[at]["objects"]}
            for first, last in runs(order, have):
                entry = json.loads(text)
                if first != order[0]:
                    entry["since"] = word(first)
                if last != order[-1]:
                    entry["until"] = word(last)
                entries.append(((entry.get("table", ""), entry.get("name", ""), str(entry.get("columns")), first), entry))
        entries.sort(key=lambda e: e[0])
        lines.append(",\n".join(json.dumps(e, separators=(",", ":"), ensure_ascii=False) for _, e in entries))
    lines.append("]}")
    return "\n".join(lines) + "\n"


def migration_lines(versions):
    order = sorted(versions)
    before = set()
    for at in order:
        if before >= versions[at]["migrations"]:
            yield f"{word(at)} {word(at)} -"
        before |= versions[at]["migrations"]
    for name in sorted({n for at in order for n in versions[at]["migrations"]}):
        for first, last in runs(order, {at for at in order if name in versions[at]["migrations"]}):
            yield f"{word(first)} {word(last)} {name}" + (" either" if name in EITHER else "")


# The two workflow engines make the same table by migrations of different names; a store has those of one. The installation that is migrated
# here has the in-memory engine, production the one on Redis, whose names are told from its package (2.21.2) and counted to the same minors.
ENGINES = {
    "Migration20241206101446": ["Migration20241206123341"],
    "Migration20250128174331": ["Migration20250120111059", "Migration20250128174354"],
    "Migration20250505092459": ["Migration20250505101505"],
    "Migration20250819104213": ["Migration20250819110923"],
    "Migration20250908080305": ["Migration20250908080326"],
}
EITHER = set(ENGINES) | {name for names in ENGINES.values() for name in names}
PARTS = ("table", "name", "columns", "unique", "method", "opclasses", "options", "include", "constraint", "predicate")
KINDS = ("tables", "link_tables", "indexes", "foreign_keys")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    assets = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else pathlib.Path(__file__).parent.parent / "assets" / "medusa"
    listed = assets / "migrations.txt"
    names = []
    if listed.exists():
        names = [line.removesuffix(" either").split(" ", 2) for line in listed.read_text().splitlines() if line and not line.startswith("#") and is_migration(line)]
        names = [(minor(a), minor(b), n) for a, b, n in names if n != "-"]
    all_versions = {}
    for major in (1, 2):
        path = assets / f"v{major}.json"
        if path.exists():
            all_versions[major] = expanded(json.loads(path.read_text()), [n for n in names if n[0][0] == major])
    for path in sorted(folder.glob("*.json")):
        raw = json.loads(path.read_text())
        at = minor(raw["version"])
        kept = {"release": raw["version"], "objects": objects(raw), "migrations": migrations(raw)}
        all_versions.setdefault(raw["major"], {})[at] = kept
    lines = ["# first minor, last minor, name in mikro_orm_migrations (2), migrations (1); - for a minor that brought none; either: of one of the two workflow engines"]
    for major, versions in sorted(all_versions.items()):
        (assets / f"v{major}.json").write_text(union_text(major, versions))
        lines += migration_lines(versions)
    listed.write_text("\n".join(lines) + "\n")


main()
