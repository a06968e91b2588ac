//! Which families of Redis keys grew or shrank between two audits.

use super::{CHANGE_MIN, MetricChange};
use crate::evidence::redis::{Instance, Pattern};
use crate::evidence::{Layer, Snapshot};

/// Families that are listed, those that changed most.
const FAMILIES_MAX: usize = 5;
/// Less is nobody's concern.
const BYTES_MIN: u64 = 1 << 20;

/// Memory of the families whose keys were measured in both audits and that changed by a tenth and a mebibyte at least.
pub fn growth(before: &Snapshot, after: &Snapshot) -> Vec<MetricChange> {
    let (Ok(before), Ok(after)) = (before.redis(), after.redis()) else { return Vec::new() };
    let mut changes = Vec::new();
    for new in &after.instances {
        let Some(old) = before.instances.iter().find(|i| i.name == new.name) else { continue };
        changes.extend(families(new).filter_map(|p| change(old, &new.name, p)));
    }
    changes.sort_by(|a, b| (b.after - b.before).abs().total_cmp(&(a.after - a.before).abs()).then_with(|| a.subject.cmp(&b.subject)));
    changes.truncate(FAMILIES_MAX);
    changes
}

fn families(instance: &Instance) -> impl Iterator<Item = &Pattern> {
    instance.keys.iter().flat_map(|k| &k.patterns)
}

fn change(old: &Instance, instance: &str, now: &Pattern) -> Option<MetricChange> {
    let is_same = |p: &&Pattern| (p.database, &p.pattern, &p.kind) == (now.database, &now.pattern, &now.kind);
    let (before, after) = (families(old).find(is_same)?.bytes_estimate?, now.bytes_estimate?);
    let by = before.abs_diff(after);
    (by >= BYTES_MIN && by as f64 >= before as f64 * CHANGE_MIN).then(|| MetricChange {
        layer: Layer::Redis,
        id: "redis.family_memory",
        unit: "bytes",
        subject: format!("{} in {instance}", now.pattern),
        before: before as f64,
        after: after as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;
    use crate::evidence::redis::Redis;

    /// The demo's Redis, the memory of its largest family changed.
    fn with(edit: impl Fn(u64) -> u64) -> (Snapshot, String) {
        let mut snapshot = demo::snapshot();
        let Ok(Redis { instances }) = &mut snapshot.redis else { unreachable!("the demo has Redis") };
        let name = instances[0].name.clone();
        let Ok(keys) = &mut instances[0].keys else { unreachable!("its keys were sampled") };
        let largest = &mut keys.patterns[0];
        largest.bytes_estimate = Some(edit(10 * BYTES_MIN));
        let subject = format!("{} in {}", largest.pattern, name);
        (snapshot, subject)
    }

    #[test]
    fn a_family_that_changed_is_told() {
        let (before, subject) = with(|bytes| bytes);
        let changes = growth(&before, &with(|bytes| bytes + BYTES_MIN).0);
        assert_eq!(changes.iter().map(|c| (c.subject.as_str(), c.after - c.before)).collect::<Vec<_>>(), [(subject.as_str(), BYTES_MIN as f64)]);
        assert_eq!(growth(&before, &with(|bytes| bytes - BYTES_MIN).0).len(), 1);
        assert!(growth(&before, &with(|bytes| bytes + BYTES_MIN - 1).0).is_empty(), "less than a mebibyte");
        let (large, _) = with(|bytes| bytes * 10);
        assert!(growth(&large, &with(|bytes| bytes * 10 + 2 * BYTES_MIN).0).is_empty(), "less than a tenth");
        assert!(growth(&before, &Snapshot::empty(before.meta.clone())).is_empty());
    }
}
