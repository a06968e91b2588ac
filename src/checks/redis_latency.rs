//! What the events of Redis' latency monitor mean, and what is to be done about each.

use super::redis_settings::{Change, change, is_managed};
use crate::evidence::redis::{LatencyEvent, Server};
use crate::finding::{Remedy, RemedyKind};

/// Why Redis stopped, by the names that its source gives its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A command that should be quick: the machine stood still, not the command.
    FastCommand,
    Command,
    Fork,
    SyncAlways,
    Disk,
    Expiry,
    /// Freeing large values that have expired.
    ExpiryOfLarge,
    Eviction,
    /// Freeing large values that are evicted.
    EvictionOfLarge,
    Defragmentation,
    Other,
}

/// General events that Redis records beside the specific one of the same moment.
pub fn is_part_of_another(name: &str, all: &[&LatencyEvent]) -> bool {
    let starts = |prefix: &str| all.iter().any(|e| e.name != name && e.name.starts_with(prefix));
    match name {
        "aof-write" => starts("aof-write-") || all.iter().any(|e| e.name == "aof-fsync-always"),
        "expire-cycle" => all.iter().any(|e| e.name == "expire-del"),
        "eviction-cycle" => all.iter().any(|e| e.name == "eviction-del"),
        _ => false,
    }
}

impl Cause {
    pub fn of(event: &str) -> Self {
        match event {
            "command" => Cause::Command,
            "fast-command" => Cause::FastCommand,
            "fork" => Cause::Fork,
            "aof-fsync-always" => Cause::SyncAlways,
            "expire-cycle" => Cause::Expiry,
            "expire-del" => Cause::ExpiryOfLarge,
            "eviction-cycle" | "eviction-lazyfree" => Cause::Eviction,
            "eviction-del" => Cause::EvictionOfLarge,
            "active-defrag-cycle" => Cause::Defragmentation,
            name if name.starts_with("aof-") || name.starts_with("rdb-") => Cause::Disk,
            _ => Cause::Other,
        }
    }

    /// As a clause after the event's name.
    pub fn what(self) -> &'static str {
        match self {
            Cause::FastCommand => "a command that takes no time of its own: the machine stood still (swap, huge pages, a neighbour)",
            Cause::Command => "one slow command",
            Cause::Fork => "copying the process for a snapshot or a rewrite of the append-only file",
            Cause::SyncAlways => "waiting for the disk after a write (appendfsync always)",
            Cause::Disk => "waiting for the disk",
            Cause::Expiry => "removing many keys that expired together",
            Cause::ExpiryOfLarge => "freeing large values that had expired",
            Cause::Eviction => "evicting keys for lack of memory",
            Cause::EvictionOfLarge => "freeing large values that were evicted",
            Cause::Defragmentation => "moving keys together (activedefrag)",
            Cause::Other => "an event of its own",
        }
    }

    pub fn step(self) -> &'static str {
        match self {
            Cause::FastCommand => "Find what makes the machine of Redis stand still",
            Cause::Command => "Find and replace the slow command",
            Cause::Fork => "Make the copy for snapshots cheaper",
            Cause::SyncAlways => "Sync the append-only file once a second",
            Cause::Disk => "Give the append-only file a faster disk",
            Cause::Expiry => "Spread the lifetimes of keys",
            Cause::ExpiryOfLarge => "Free expired values in the background",
            Cause::Eviction => "Give Redis more memory or fewer keys",
            Cause::EvictionOfLarge => "Free evicted values in the background",
            Cause::Defragmentation => "Let the defragmentation take less at a time",
            Cause::Other => "Read what the latency monitor says",
        }
    }

    /// `server`: where it is not known, a server of the store's own is taken.
    pub fn remedies(self, server: Option<&Server>) -> Vec<Remedy> {
        if let Some(set) = self.setting() {
            let set = match server {
                Some(server) => change(server, &set),
                None => remedy(RemedyKind::Redis, set.label, &format!("CONFIG SET {} \"{}\"", set.name, set.value), set.risk),
            };
            let needs_small_pages = self == Cause::Fork && !server.is_some_and(is_managed);
            return needs_small_pages.then(huge_pages).into_iter().chain([set]).collect();
        }
        match self {
            Cause::Command => vec![remedy(RemedyKind::Redis, "See the slowest commands", "SLOWLOG GET 20", SHOWS_ARGUMENTS)],
            Cause::Expiry => {
                vec![remedy(
                    RemedyKind::Code,
                    "Spread the lifetimes of entries that are written together",
                    SPREAD,
                    "Entries live up to a tenth longer.",
                )]
            }
            Cause::FastCommand if !server.is_some_and(is_managed) => vec![
                remedy(
                    RemedyKind::Shell,
                    "Measure the machine itself, on it",
                    "redis-cli --intrinsic-latency 100",
                    "Takes one processor for 100 seconds.",
                ),
                huge_pages(),
            ],
            _ => vec![remedy(RemedyKind::Redis, "Ask Redis for its own reading", "LATENCY DOCTOR", "Reads only.")],
        }
    }

    /// The setting that takes the cause away, where one does.
    fn setting(self) -> Option<Change<'static>> {
        let (label, name, value, now, risk) = match self {
            Cause::Fork => {
                let risk = "A crash loses up to an hour where the append-only file is off.";
                ("Save once an hour", "save", "3600 1", "3600 1 300 100 60 10000", risk)
            }
            Cause::SyncAlways => {
                let risk = "A crash of the machine, not of Redis, loses up to a second of writes.";
                ("Sync once a second", "appendfsync", "everysec", "always", risk)
            }
            Cause::Disk => {
                let risk = "A crash of the machine during a rewrite may lose half a minute. A faster disk is the better answer.";
                ("Do not sync while a copy is being written", "no-appendfsync-on-rewrite", "yes", "no", risk)
            }
            Cause::ExpiryOfLarge => ("Free them in the background", "lazyfree-lazy-expire", "yes", "no", "Memory is given back a moment later."),
            Cause::Eviction | Cause::EvictionOfLarge => {
                let risk = "Memory is given back a moment later. More memory, or fewer keys, is the lasting answer.";
                ("Free them in the background", "lazyfree-lazy-eviction", "yes", "no", risk)
            }
            Cause::Defragmentation => ("Take less of the processor", "active-defrag-cycle-max", "10", "25", "Memory is given back more slowly."),
            Cause::FastCommand | Cause::Command | Cause::Expiry | Cause::Other => return None,
        };
        Some(Change { label, name, value, now: Some(now), risk })
    }
}

/// Said wherever the slow log is printed whole.
pub const SHOWS_ARGUMENTS: &str = "Reads only, but shows arguments: keys and values of shoppers may be among them.";

fn huge_pages() -> Remedy {
    Remedy {
        undo: Some("echo always > /sys/kernel/mm/transparent_hugepage/enabled".into()),
        ..remedy(
            RemedyKind::Shell,
            "Switch huge pages off on the server",
            "cat /sys/kernel/mm/transparent_hugepage/enabled\necho never > /sys/kernel/mm/transparent_hugepage/enabled",
            "Until the next boot; put it in a unit or /etc/rc.local to keep it. Restart Redis afterwards. Copies for snapshots touch whole huge pages otherwise.",
        )
    }
}

fn remedy(kind: RemedyKind, label: &str, text: &str, risk: &str) -> Remedy {
    Remedy { kind, label: label.into(), text: text.into(), lock: None, risk: risk.into(), undo: None }
}

/// A tenth of the lifetime at random.
pub const SPREAD: &str = r#"// A tenth of the lifetime at random, so that a warmed cache does not expire in one second
const spread = (ttl: number) => ttl + Math.floor(Math.random() * ttl * 0.1)
await redis.set(key, value, "EX", spread(3600))"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> LatencyEvent {
        LatencyEvent { name: name.into(), at: 0, last_ms: 200, max_ms: 200 }
    }

    #[test]
    fn the_specific_event_stands_for_the_general_one() {
        let (general, specific, fork) = (event("aof-write"), event("aof-write-pending-fsync"), event("fork"));
        assert!(is_part_of_another("aof-write", &[&general, &specific]));
        assert!(!is_part_of_another("aof-write", &[&general, &fork]));
        assert!(!is_part_of_another("aof-write-pending-fsync", &[&general, &specific]));
        assert!(is_part_of_another("eviction-cycle", &[&event("eviction-cycle"), &event("eviction-del")]));
    }

    #[test]
    fn every_event_of_redis_has_a_cause_and_a_remedy() {
        let names = [
            "command",
            "fast-command",
            "fork",
            "aof-fsync-always",
            "aof-write",
            "aof-write-active-child",
            "aof-rewrite-diff-write",
            "aof-rename",
            "rdb-unlink-temp-file",
            "expire-cycle",
            "expire-del",
            "eviction-cycle",
            "eviction-del",
            "eviction-lazyfree",
            "active-defrag-cycle",
        ];
        for name in names {
            assert_ne!(Cause::of(name), Cause::Other, "{name}");
        }
        for name in names.iter().chain(&["module-acquire-GIL"]) {
            assert!(!Cause::of(name).remedies(None).is_empty(), "{name}");
        }
    }
}
