//! `redis-fragmentation`: memory that Redis holds and does not use, or uses and does not have.

use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{Change, change, is_managed};
use crate::checks::{Check, always};
use crate::evidence::redis::{Instance, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

const MIB: u64 = 1 << 20;
/// Resident over used memory above which a third of what the process holds is of no use.
const RATIO_MAX: f64 = 1.5;
/// Bytes below which nobody needs the difference; the ratio of a small instance says nothing (Redis' own MEMORY DOCTOR takes 10 MiB).
const DIFFERENCE_MIN: u64 = 100 * MIB;
/// Used memory below which the rest is what the allocator keeps for itself after a large delete.
const USED_MIN: u64 = 64 * MIB;
/// Share of used memory that is not resident from which commands wait for the disk.
const SWAPPED_SHARE_MEDIUM: f64 = 0.25;

pub static CHECK: Check = Check {
    id: "redis-fragmentation",
    layer: Layer::Redis,
    title: "Redis holds much more memory than it uses, or is swapped out",
    passed: "The memory Redis holds is close to what it uses.",
    why: "Keys that come and go leave holes between those that stay. The holes are memory the machine cannot give to anybody else. The opposite, less memory than Redis \
          uses, means that the system has swapped part of it to disk, and one command that touches it makes all others wait.",
    remedy: "Let Redis move keys together (activedefrag), or restart it with its data; against swapping, set maxmemory below what the machine has free.",
    method: "Compares used_memory_rss with used_memory: fires above a ratio of 1.5 with more than 100 MiB between them and at least 64 MiB used, and where more than 100 MiB of the \
             used memory are not resident. Severity by the share of the machine's memory that is wasted, Medium at most.",
    effort: Effort::Minutes,
    references: &[
        "https://redis.io/docs/latest/commands/info/",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/",
    ],
    needs: &[Section::RedisServer],
    uses: &[Section::RedisConfig],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| Ok(judge(instance, instance.server()?)?.into_iter().collect()))
}

fn judge(instance: &Instance, server: &Server) -> Result<Option<Finding>, Gap> {
    let rss = server.used_memory_rss.ok_or_else(|| {
        let cause = Cause::Absent { feature: "used_memory_rss in INFO".into(), remedy: String::new() };
        Gap::new(Section::RedisServer, cause, format!("{} does not tell how much memory its process holds.", instance.name))
    })?;
    // A dataset that is still being read grows by the second.
    if server.is_loading {
        return Ok(None);
    }
    let used = server.used_memory;
    let (over, under) = (rss.saturating_sub(used), used.saturating_sub(rss));
    let ratio = rss as f64 / used.max(1) as f64;
    Ok(if ratio > RATIO_MAX && over > DIFFERENCE_MIN && used >= USED_MIN {
        Some(fragmented(instance, server, rss, over))
    } else if under > DIFFERENCE_MIN {
        Some(swapped(instance, server, rss, under))
    } else {
        None
    })
}

fn fragmented(instance: &Instance, server: &Server, rss: u64, over: u64) -> Finding {
    let of_machine = server.system_memory.map(|system| over as f64 / system.max(1) as f64);
    let mut gain = Gain::new(Basis::RuleOfThumb, format!("about {} of memory", text::bytes_memory(over)));
    gain.memory_bytes = Some(over);
    Finding {
        observed: format!(
            "{} holds {} for {} of data: {} are holes between keys.",
            instance.name,
            text::bytes_memory(rss),
            text::bytes_memory(server.used_memory),
            text::bytes_memory(over)
        ),
        step: format!("Give back the unused memory of {}", instance.name),
        severity: of_machine.map_or(Severity::Low, Severity::from_share).min(Severity::Medium),
        confidence: Confidence::High,
        confidence_because: "read from INFO at the end of the window".into(),
        cost: Cost { resource: Resource::Memory, share: over as f64 / rss.max(1) as f64 },
        gain: Some(gain),
        remedies: defragment(instance, server),
        verify: format!("redis-cli INFO memory: mem_fragmentation_ratio falls below {RATIO_MAX} within minutes."),
        ..finding(instance, server, rss)
    }
}

fn swapped(instance: &Instance, server: &Server, rss: u64, under: u64) -> Finding {
    let share = under as f64 / server.used_memory.max(1) as f64;
    Finding {
        observed: format!(
            "{} uses {} and only {} of it are in memory: {} are most likely swapped to disk.",
            instance.name,
            text::bytes_memory(server.used_memory),
            text::bytes_memory(rss),
            text::bytes_memory(under)
        ),
        step: format!("Keep {} out of the swap", instance.name),
        severity: if share >= SWAPPED_SHARE_MEDIUM { Severity::Medium } else { Severity::Low },
        confidence: Confidence::Medium,
        confidence_because: "memory that was reserved and never touched looks the same; VmSwap tells them apart".into(),
        cost: Cost { resource: Resource::Memory, share },
        averts: Some("commands that wait for the disk".into()),
        remedies: stop_swapping(server),
        verify: "redis-cli INFO memory: used_memory_rss is above used_memory; VmSwap of the process is 0 kB.".into(),
        ..finding(instance, server, rss)
    }
}

fn finding(instance: &Instance, server: &Server, rss: u64) -> Finding {
    let ratio = rss as f64 / server.used_memory.max(1) as f64;
    let mut evidence = vec![
        Evidence::figure("Held by the process", rss as f64, "bytes", text::bytes_memory(rss)),
        Evidence::figure("Used", server.used_memory as f64, "bytes", text::bytes_memory(server.used_memory)),
        Evidence::figure("Held for each byte used", ratio, "ratio", text::number(ratio)),
    ];
    if let Some(peak) = server.used_memory_peak {
        evidence.push(Evidence::figure("Peak", peak as f64, "bytes", text::bytes_memory(peak)));
    }
    if let Ok(Some(defrag)) = instance.config().map(|c| c.get("activedefrag")) {
        evidence.push(Evidence::text("activedefrag", defrag));
    }
    Finding {
        subject: Subject::new("instance", &instance.name),
        observed: String::new(),
        step: String::new(),
        evidence,
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: String::new(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Memory, share: 0.0 },
        gain: None,
        averts: None,
        remedies: Vec::new(),
        verify: String::new(),
        touches: Vec::new(),
    }
}

fn defragment(instance: &Instance, server: &Server) -> Vec<Remedy> {
    let redis = |label: &str, text: &str, risk: &str| Remedy {
        kind: RemedyKind::Redis,
        label: label.into(),
        text: text.into(),
        lock: None,
        risk: risk.into(),
        undo: None,
    };
    let is_on = instance.config().is_ok_and(|c| c.get("activedefrag") == Some("yes"));
    let mut remedies = vec![redis(
        "Give back what the allocator keeps free",
        "MEMORY PURGE",
        "Works with jemalloc, the default on Linux. Pages that still hold one key stay: those need the next step.",
    )];
    if !is_on {
        remedies.push(change(
            server,
            &Change {
                label: "Let Redis move keys together while it runs",
                name: "activedefrag",
                value: "yes",
                now: Some("no"),
                risk: "Takes up to 25 % of one processor while it works. The packages of Debian and Ubuntu are built with the system's jemalloc and refuse it: restart instead.",
            },
        ));
    }
    if !is_managed(server) {
        remedies.push(redis(
            "Or restart it with its data",
            "SHUTDOWN SAVE",
            "Writes a snapshot and ends; the service manager must start it again, with the same dir and dbfilename. Nothing is served while the snapshot loads, some \
             seconds a gigabyte. With replicas, fail over first.",
        ));
    }
    remedies
}

fn stop_swapping(server: &Server) -> Vec<Remedy> {
    if is_managed(server) {
        return vec![Remedy {
            kind: RemedyKind::Shell,
            label: "Take a larger instance".into(),
            text: format!("# {}: choose a plan with more than {} of memory.", server.platform, text::bytes_memory(server.used_memory)),
            lock: None,
            risk: "Most providers fail over while they resize: connections drop for some seconds.".into(),
            undo: None,
        }];
    }
    vec![
        Remedy {
            kind: RemedyKind::Shell,
            label: "See on the server how much of it is swapped".into(),
            text: "grep VmSwap /proc/\"$(pidof redis-server valkey-server | cut -d' ' -f1)\"/status".into(),
            lock: None,
            risk: "Reads only.".into(),
            undo: None,
        },
        Remedy {
            kind: RemedyKind::Shell,
            label: "Swap only in need".into(),
            text: "sysctl -w vm.swappiness=1\necho 'vm.swappiness = 1' > /etc/sysctl.d/90-redis.conf".into(),
            lock: None,
            risk: "Holds for every process of the machine. What is swapped out stays there until it is touched; give the machine memory, or lower maxmemory, first.".into(),
            undo: Some("sysctl -w vm.swappiness=60\nrm /etc/sysctl.d/90-redis.conf".into()),
        },
    ]
}
