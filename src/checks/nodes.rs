//! The store's other nodes. Each counts its own scans: an index that rests on the primary may serve every page from a replica.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::evidence::postgres::{Index, NodeIndex, NodeUsage, Postgres};
use crate::evidence::{Cause, Gap, Section};
use crate::finding::{Cell, Evidence};
use crate::text;

/// Nodes beside the audited one.
#[derive(Default)]
pub struct Nodes<'s> {
    pub read: Vec<ReadNode<'s>>,
    /// Given, but nothing is known of their scans.
    pub unread: Vec<(&'s str, Gap)>,
}

/// A node whose counters were read.
pub struct ReadNode<'s> {
    pub host: &'s str,
    pub usage: &'s NodeUsage,
    pub since: OffsetDateTime,
    indexes: HashMap<(&'s str, &'s str), &'s NodeIndex>,
}

/// What the read nodes say of one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNodes {
    Idle,
    Used,
    /// It lies beyond the limit of a node's list.
    NotListed,
}

impl<'s> Nodes<'s> {
    /// The nodes that were given. None were where an older snapshot has no such section.
    pub fn of(pg: &'s Postgres, indexes: &[Index]) -> Self {
        let mut nodes = Self::default();
        for node in pg.nodes().map_or(&[][..], Vec::as_slice) {
            match node.usage.as_ref().map_err(Clone::clone).and_then(|usage| read(&node.host, usage, indexes)) {
                Ok(read) => nodes.read.push(read),
                Err(gap) => nodes.unread.push((&node.host, gap)),
            }
        }
        nodes
    }

    /// Whether the index rests on every node that was read, by the rule the audited node is held to.
    pub fn judge(&self, index: &Index, is_idle: impl Fn(u64, Option<OffsetDateTime>) -> bool) -> OnNodes {
        let mut all_listed = true;
        for node in &self.read {
            match node.index(index) {
                Some(seen) if !is_idle(seen.scans, seen.last_scan) => return OnNodes::Used,
                Some(_) => {}
                None => all_listed &= node.usage.indexes.is_whole(),
            }
        }
        if all_listed { OnNodes::Idle } else { OnNodes::NotListed }
    }

    /// Replicas among the nodes that were read.
    pub fn replicas(&self) -> usize {
        self.read.iter().filter(|n| n.usage.is_replica).count()
    }

    /// How often each scanned the index.
    pub fn scans_of(&self, index: &Index) -> Evidence {
        let row = |node: &ReadNode| {
            let scans = node.index(index).map_or(0, |i| i.scans);
            vec![
                Cell::text(node.host),
                Cell::text(if node.usage.is_replica { "replica" } else { "primary" }),
                Cell::number(scans as f64, text::count(scans)),
                Cell::text(text::date(node.since)),
            ]
        };
        Evidence::table("Other nodes", &["node", "role", "scans", "counters since"], self.read.iter().map(row).collect())
    }

    /// Where something was counted: "this node", "all 3 nodes".
    pub fn all(&self) -> String {
        match self.read.len() {
            0 => "this node".to_owned(),
            1 => "both nodes".to_owned(),
            n => format!("all {}", text::plural(n as u64 + 1, "node", "nodes")),
        }
    }

    /// Where nothing happened: "this node", "any of 3 nodes".
    pub fn any(&self) -> String {
        match self.read.len() {
            0 => "this node".to_owned(),
            1 => "either node".to_owned(),
            n => format!("any of {}", text::plural(n as u64 + 1, "node", "nodes")),
        }
    }
}

impl ReadNode<'_> {
    pub fn index(&self, index: &Index) -> Option<&NodeIndex> {
        self.indexes.get(&(index.schema.as_str(), index.name.as_str())).copied()
    }
}

fn read<'s>(host: &'s str, usage: &'s NodeUsage, audited: &[Index]) -> Result<ReadNode<'s>, Gap> {
    let indexes: HashMap<_, _> = usage.indexes.rows.iter().map(|i| ((i.schema.as_str(), i.name.as_str()), i)).collect();
    if !audited.is_empty() && !audited.iter().any(|i| indexes.contains_key(&(i.schema.as_str(), i.name.as_str()))) {
        return Err(Gap::new(Section::PgNodes, Cause::Unreadable, "It holds none of this database's indexes: is it a node of another database?"));
    }
    let Some(since) = usage.counting_since else {
        return Err(Gap::new(Section::PgNodes, Cause::Unreadable, "It does not tell since when its counters run."));
    };
    Ok(ReadNode { host, usage, since, indexes })
}
