//! Which finding explains which: the declared causes of a check that touch the same thing on the same server.

use super::Ranked;
use crate::evidence::Layer;
use crate::finding::{Finding, Severity};

/// A finding that weighs less than this share of another cannot be what explains it.
const CAUSE_WEIGHT_MIN: f64 = 0.25;

/// The heaviest finding of a declared cause that touches the same thing; where that one is a symptom itself, its own cause.
pub fn cause_of(r: &Ranked, all: &[Ranked]) -> Option<String> {
    let mut cause = direct_cause(r, all)?;
    // Declared causes form chains of a few links; a ring would be a defect of the checks and must not hang the plan.
    for _ in 0..4 {
        match direct_cause(cause, all) {
            Some(deeper) if deeper.key != r.key => cause = deeper,
            _ => break,
        }
    }
    Some(cause.key.clone())
}

fn direct_cause<'r>(r: &Ranked, all: &'r [Ranked]) -> Option<&'r Ranked> {
    all.iter().find(|c| {
        r.check.symptom_of.contains(&c.check.id)
            && c.finding.severity > Severity::Info
            && c.weight >= r.weight * CAUSE_WEIGHT_MIN
            && explains(&c.finding, &r.finding)
            && are_together(c, r)
    })
}

/// What two servers of Redis hold has the same names and nothing to do with each other: findings on them belong together on one alone.
fn are_together(a: &Ranked, b: &Ranked) -> bool {
    let is_redis = |r: &Ranked| r.check.layer == Layer::Redis;
    !(is_redis(a) && is_redis(b)) || place(&a.finding.subject.name) == place(&b.finding.subject.name)
}

/// The server at the end of a Redis finding's subject, without its logical database: `sess:<id> in cache.example:6379/0`.
fn place(subject: &str) -> &str {
    let name = subject.rsplit_once(' ').map_or(subject, |(_, name)| name);
    name.rsplit_once('/').map_or(name, |(server, _)| server)
}

/// They share more than a table: statements, columns, paths or keys.
fn explains(cause: &Finding, symptom: &Finding) -> bool {
    cause.touches.iter().any(|t| !t.starts_with("table:") && symptom.touches.contains(t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_by_the_end_of_the_subject() {
        for subject in ["127.0.0.1:6379/0", "127.0.0.1:6379", "sess:<id> in 127.0.0.1:6379/0", "bull:mails in database 3 on 127.0.0.1:6379/0"] {
            assert_eq!(place(subject), "127.0.0.1:6379", "{subject}");
        }
        assert_ne!(place("KEYS on 127.0.0.1:6380/0"), place("127.0.0.1:6379/0"));
    }
}
