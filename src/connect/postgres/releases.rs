//! Which release a list of migrations tells: Medusa writes no version into a database, but each release brings migrations.

use std::collections::{BTreeMap, BTreeSet, HashSet};

/// First minor, last minor, name; written by `scripts/medusa-baselines.py` from really migrated databases.
const MIGRATIONS: &str = include_str!("../../../assets/medusa/migrations.txt");

type Minor = (u8, u8);

/// What the known releases of one major ship.
struct Known {
    minors: BTreeSet<Minor>,
    /// By name: the first minor that ships it.
    first: BTreeMap<&'static str, Minor>,
    /// Of one of the two workflow engines: a store has those of one.
    either: HashSet<&'static str>,
}

/// The version as far as the names tell it, and the migration that told; or the newest name where none is of a known release.
///
/// A database keeps the names of all migrations it ever ran, so the newest minor of which one is there is the version, at least. Names that
/// no release ships are those of the store's own modules, or of a later Medusa: only beyond the newest known release do they matter.
pub fn told(major: u8, names: &[String]) -> Result<(String, String), Option<String>> {
    let known = known(major, MIGRATIONS);
    told_by(&known, names)
}

fn known(major: u8, text: &'static str) -> Known {
    let mut known = Known { minors: BTreeSet::new(), first: BTreeMap::new(), either: HashSet::new() };
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.splitn(3, ' ');
        let (Some(first), Some(second), Some(name)) = (words.next().and_then(minor), words.next(), words.next()) else { continue };
        if first.0 != major {
            continue;
        }
        known.minors.insert(first);
        known.minors.extend(minor(second));
        let (name, is_either) = name.strip_suffix(" either").map_or((name, false), |n| (n, true));
        if is_either {
            known.either.insert(name);
        }
        if name != "-" {
            let at = known.first.entry(name).or_insert(first);
            *at = first.min(*at);
        }
    }
    known
}

fn minor(text: &str) -> Option<Minor> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn told_by(known: &Known, names: &[String]) -> Result<(String, String), Option<String>> {
    let newest_name = names.iter().max_by(|a, b| stamp(a).cmp(stamp(b)).then_with(|| a.cmp(b))).cloned();
    let seen: HashSet<&str> = names.iter().map(String::as_str).collect();
    let of = |at: Minor| known.first.iter().filter(move |(_, first)| **first == at).map(|(name, _)| *name);
    let Some(at) = known.first.iter().filter(|(name, _)| seen.contains(*name)).map(|(_, first)| *first).max() else { return Err(newest_name) };
    let telling = of(at).filter(|n| seen.contains(n)).max_by(|a, b| stamp(a).cmp(stamp(b)).then_with(|| a.cmp(b))).unwrap_or("");
    let lacking = of(at).filter(|n| !seen.contains(n) && !known.either.contains(n)).count();
    let stock = names.iter().filter(|n| known.first.contains_key(n.as_str())).count();
    let evidence = format!("migration {telling}, the newest of {stock} that a release is known for");
    if lacking > 0 && known.minors.first() == Some(&at) && at.1 > 0 {
        // Of the first known release only a part: an earlier one, unless it never was the first.
        return Err(newest_name);
    }
    if lacking > 0 {
        let evidence = format!("{evidence}; {lacking} that came by {}.{} are not there", at.0, at.1);
        // Minors without a list of their own lie between: their migrations are counted to this one.
        let before = known.minors.range(..at).last().filter(|before| before.1 + 1 < at.1);
        let version = match before {
            Some(before) => format!("{}.{}–{}.{}", at.0, before.1 + 1, at.0, at.1),
            None => format!("{}.{}.x", at.0, at.1),
        };
        return Ok((version, evidence));
    }
    let alike = known.minors.range(at..).take_while(|m| **m == at || of(**m).next().is_none()).last().copied().unwrap_or(at);
    if Some(&alike) == known.minors.last() {
        let newest_known = known.first.keys().map(|n| stamp(n)).max().unwrap_or("");
        let later = names.iter().filter(|n| !known.first.contains_key(n.as_str()) && stamp(n) > newest_known).count();
        // The first major has ended: what is newer there is the store's own.
        if later > 0 && at.0 > 1 {
            let own = format!("{evidence}; {later} later ones are of the store's own modules or of a newer Medusa");
            return Ok((format!("{}.{} or newer", at.0, at.1), own));
        }
    }
    if alike == at {
        return Ok((format!("{}.{}", at.0, at.1), evidence));
    }
    Ok((format!("{}.{}–{}.{}", at.0, at.1, alike.0, alike.1), format!("{evidence}; the releases after it brought none")))
}

/// The time a migration was written, as its name has it: 14 digits of a date, or 13 of milliseconds; "" for names without.
fn stamp(name: &str) -> &str {
    let digits = |c: char| c.is_ascii_digit();
    name.split(|c| !digits(c)).find(|run| run.len() == 13 || run.len() == 14).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# a list
2.0 2.3 Migration20240101000000
2.0 2.3 Migration20240102000000
2.1 2.3 Migration20240201000000
2.1 2.3 Migration20240202000000
2.1 2.3 Migration20240203000000 either
2.1 2.3 Migration20240203000001 either
2.2 2.2 -
2.3 2.3 Migration20240401000000
2.6 2.6 Migration20240501000000
2.6 2.6 Migration20240601000000
1.20 1.20 First1700000000000
1.20 1.20 Second1709888477798
";

    fn version(major: u8, names: &[&str]) -> Result<String, Option<String>> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        told_by(&known(major, LIST), &names).map(|(version, _)| version)
    }

    const ONE: [&str; 4] = ["Migration20240101000000", "Migration20240102000000", "Migration20240201000000", "Migration20240202000000"];

    #[test]
    fn the_newest_known_migration_tells_the_minor() {
        assert_eq!(version(2, &ONE[..2]).as_deref(), Ok("2.0"));
        assert_eq!(version(2, &ONE).as_deref(), Ok("2.1–2.2"), "2.2 brought nothing");
        assert_eq!(version(2, &[ONE.as_slice(), &["Migration20240401000000"]].concat()).as_deref(), Ok("2.3"));
    }

    #[test]
    fn a_part_of_a_minors_migrations_is_an_early_patch() {
        assert_eq!(version(2, &ONE[..3]).as_deref(), Ok("2.1.x"));
        // Of two engines one is there.
        assert_eq!(version(2, &[ONE.as_slice(), &["Migration20240203000001"]].concat()).as_deref(), Ok("2.1–2.2"));
        assert_eq!(version(2, &[&ONE[..2], &["Migration20240203000000"]].concat()).as_deref(), Ok("2.1.x"));
        // A module that is switched off lacks its own, old and new alike.
        assert_eq!(version(2, &ONE[2..]).as_deref(), Ok("2.1–2.2"));
    }

    #[test]
    fn a_part_across_minors_without_a_list_is_one_of_them() {
        let three = [ONE.as_slice(), &["Migration20240401000000"]].concat();
        assert_eq!(version(2, &[three.as_slice(), &["Migration20240501000000"]].concat()).as_deref(), Ok("2.4–2.6"));
        assert_eq!(version(2, &[three.as_slice(), &["Migration20240501000000", "Migration20240601000000"]].concat()).as_deref(), Ok("2.6"));
    }

    #[test]
    fn the_stores_own_migrations_count_only_beyond_the_newest_release() {
        let own = "Migration20240901000000";
        assert_eq!(version(2, &[ONE.as_slice(), &[own]].concat()).as_deref(), Ok("2.1–2.2"));
        let all = ["Migration20240401000000", "Migration20240501000000", "Migration20240601000000"];
        assert_eq!(version(2, &[ONE.as_slice(), &all, &[own]].concat()).as_deref(), Ok("2.6 or newer"));
        assert_eq!(version(2, &[ONE.as_slice(), &all, &["Migration20240301000000"]].concat()).as_deref(), Ok("2.6"));
        assert_eq!(version(2, &[own]), Err(Some(own.to_owned())));
        assert_eq!(version(2, &[]), Err(None));
    }

    #[test]
    fn an_older_first_major_is_not_known() {
        assert_eq!(version(1, &["First1700000000000"]), Err(Some("First1700000000000".to_owned())));
        assert_eq!(version(1, &["First1700000000000", "Second1709888477798", "Own1800000000000"]).as_deref(), Ok("1.20"));
    }

    #[test]
    fn the_list_holds_every_release() {
        for (major, least) in [(1, 1), (2, 4)] {
            let known = known(major, MIGRATIONS);
            assert!(known.minors.len() >= least && known.first.len() > 50, "{major}: {} minors", known.minors.len());
            // Every minor's own list, as a fresh installation of it has it, tells that minor.
            for at in &known.minors {
                let names: Vec<String> = known.first.iter().filter(|(_, first)| *first <= at).map(|(n, _)| (*n).to_owned()).collect();
                let (version, evidence) = told_by(&known, &names).unwrap();
                assert!(version.starts_with(&format!("{}.", at.0)) && evidence.starts_with("migration "), "{version} {evidence}");
            }
        }
    }
}
