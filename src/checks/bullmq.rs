//! BullMQ queues as the checks see them: who works on them, which keys are theirs, how a reader names them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::checks::key_sample::{keys_of, may_hide, too_few_sampled, touches};
use crate::evidence::redis::{ClientGroup, Instance, KeySample, Pattern, Queue, QueueLengths, Role};
use crate::evidence::{Cause, Gap, Section};
use crate::finding::Cell;
use crate::text;

/// Prefixes whose client names the collector keeps: Medusa's event bus, and BullMQ's default.
const PREFIXES: [&str; 2] = ["RedisEventBusService", "bull"];
/// Stands for a name that is no word of the trade.
const HIDDEN: &str = "<id>";
/// Medusa's own queues.
const STOCK: [&str; 4] = ["events-queue", "medusa-workflows", "medusa-workflows-jobs", "workflows-cleaner"];

/// What findings on the checkpoints of workflows touch, whichever workflows they are.
pub const CHECKPOINTS: &str = "keys:dtrx:*";

/// What the list of clients says of a queue's workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    Some(u64),
    None,
    /// Its clients' names are not kept: they are under a prefix of their own, or hold no word of the trade.
    Untold,
}

/// `RedisEventBusService:events-queue` is the prefix and the queue's own name.
pub fn parts(queue: &Queue) -> (&str, &str) {
    queue.name.rsplit_once(':').unwrap_or(("bull", &queue.name))
}

/// Its own name, or its prefix and a mark, holds what is no word of the trade: commands for it cannot be printed whole.
pub fn is_hidden(queue: &Queue) -> bool {
    queue.name.contains('<')
}

/// Counts the queue's workers: BullMQ names a worker's blocking connection `<prefix>:<queue in base 64>`, with `:w:<name>` behind it where
/// the worker has a name of its own. Connections of queues alone have no such name.
pub fn workers(queue: &Queue, clients: &[ClientGroup]) -> Workers {
    let (prefix, own) = parts(queue);
    if !PREFIXES.contains(&prefix) {
        return Workers::Untold;
    }
    let encoded = if own.contains('<') { HIDDEN.to_owned() } else { STANDARD.encode(own) };
    let base = format!("{prefix}:{encoded}");
    // A worker that is busy from the start has waited for nothing yet: its connection last sent INFO. What follows the queue is reduced to
    // marks by the collector: `:w:<name>` of a named worker leaves two, `:qe` of a listener one.
    let is_working = |rest: &str, command: &str| rest.is_empty() || rest.matches(':').count() >= 2 || (rest.starts_with(':') && is_blocking(command));
    let is_of = |c: &ClientGroup, base: &str| c.database == queue.database && c.name.strip_prefix(base).is_some_and(|r| is_working(r, &c.command));
    match clients.iter().filter(|c| is_of(c, &base)).map(|c| c.count).sum() {
        // The name of the store's own queue is proven by its keys, that of its worker by nothing: it may be this one.
        0 if queue.role == Role::Queue && clients.iter().any(|c| is_of(c, &format!("{prefix}:{HIDDEN}"))) => Workers::Untold,
        0 => Workers::None,
        count => Workers::Some(count),
    }
}

/// The commands BullMQ's workers wait for a job with, by version.
fn is_blocking(command: &str) -> bool {
    matches!(command, "bzpopmin" | "brpoplpush" | "blmove")
}

/// Keys of the store's own queues that a sample may miss: each job is one, so fewer are no backlog. Medusa's own are looked up by name.
pub const UNSEEN_MAX: u64 = 1_000;

/// What an instance holds of queues.
pub struct Held<'i> {
    /// Jobs, events and workflow state in the key sample.
    pub patterns: Vec<&'i Pattern>,
    /// Queues that were read; the sample need not have met them.
    queues: &'i [Queue],
    keys: &'i KeySample,
}

impl<'i> Held<'i> {
    /// # Errors
    /// The keys were not sampled.
    pub fn by(instance: &'i Instance) -> Result<Self, Gap> {
        let keys = instance.keys()?;
        let patterns = keys.patterns.iter().filter(|p| p.role.is_queue()).collect();
        Ok(Self { patterns, queues: instance.queues().map_or(&[], Vec::as_slice), keys })
    }

    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.queues.is_empty()
    }

    /// Every key was looked at and none is a queue's.
    pub fn is_known_free(&self) -> bool {
        self.is_empty() && self.keys.is_complete
    }

    /// None was seen, and none of any size can be where the sample did not come.
    pub fn is_absent(&self) -> bool {
        self.is_empty() && !may_hide(self.keys, UNSEEN_MAX)
    }

    /// # Errors
    /// None was seen, so that there is nothing to judge.
    pub fn seen(&self, instance: &Instance) -> Result<&Self, Gap> {
        if self.is_empty() { Err(too_few_sampled(instance, self.keys, UNSEEN_MAX, "a queue's key")) } else { Ok(self) }
    }

    /// "2,345 keys of queues", "the queues bull:mails and bull:medusa-workflows".
    pub fn words(&self) -> String {
        /// Queues named in a sentence.
        const NAMED_MAX: usize = 3;
        if !self.patterns.is_empty() {
            return format!("{} of queues", text::plural(keys_of(self.patterns.iter().copied()), "key", "keys"));
        }
        let mut names: Vec<&str> = self.queues.iter().map(|q| q.name.as_str()).collect();
        names.dedup();
        let more = names.len().saturating_sub(NAMED_MAX);
        names.truncate(NAMED_MAX);
        let queues = if names.len() == 1 { "queue" } else { "queues" };
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("the {queues} {}{more}", names.join(", "))
    }

    /// What findings on all of them touch.
    pub fn touches(&self) -> Vec<String> {
        if self.patterns.is_empty() { self.queues.iter().map(touch).take(5).collect() } else { touches(self.patterns.iter().copied()) }
    }

    pub fn rows(&self) -> Vec<Vec<Cell>> {
        let keys = |p: &&Pattern| {
            vec![
                Cell::text(&p.pattern),
                Cell::number(p.keys_estimate as f64, text::count(p.keys_estimate)),
                Cell::number(p.without_ttl as f64, text::count(p.without_ttl)),
            ]
        };
        let unseen = |q: &Queue| vec![Cell::text(format!("{}:*", q.name)), Cell::text("not sampled"), Cell::text("not sampled")];
        if self.patterns.is_empty() { self.queues.iter().map(unseen).collect() } else { self.patterns.iter().map(keys).collect() }
    }
}

/// Every key was looked at, and no queue is there.
pub fn are_none(instance: &Instance) -> bool {
    instance.queues().is_ok_and(|q| q.is_empty()) && instance.keys().is_ok_and(|k| k.is_complete) && unread(instance).is_none()
}

/// Why it cannot be said that every queue was read; `None` where it can.
pub fn unread(instance: &Instance) -> Option<Gap> {
    let (queues, keys) = match (instance.queues(), instance.keys()) {
        (Ok(queues), Ok(keys)) => (queues, keys),
        // The store's own queues are found by their keys.
        (Err(gap), _) | (_, Err(gap)) => return Some(gap),
    };
    let name = &instance.name;
    let gap = |cause, detail| Some(Gap::new(Section::RedisQueues, cause, detail));
    if instance.queues_left_out > 0 {
        let (read, more) = (queues.len() as u64, instance.queues_left_out);
        let cause = Cause::TooFew { have: read, need: read + more, what: "queues read".into() };
        return gap(cause, format!("{} of {name} read; {} more were left out.", text::plural(read, "queue", "queues"), text::count(more)));
    }
    let is_read = |p: &Pattern| queues.iter().any(|q| q.database == p.database && is_part_of(&p.pattern, &q.name));
    if let Some(pattern) = keys.patterns.iter().find(|p| p.role.is_queue() && p.queue_part.is_some() && !is_read(p)) {
        let keys = text::plural(pattern.keys_estimate, "key", "keys");
        return gap(Cause::Unreadable, format!("{name} holds {keys} {}, and the queue they belong to was not found.", pattern.pattern));
    }
    may_hide(keys, UNSEEN_MAX).then(|| too_few_sampled(instance, keys, UNSEEN_MAX, "a queue's key"))
}

/// The key is one of the queue's, as far as their marks tell.
fn is_part_of(pattern: &str, queue: &str) -> bool {
    // Medusa's own names are always kept: a mark stands for another.
    let hides = |a: &str, b: &str| a == HIDDEN && !STOCK.contains(&b);
    let same = |(a, b): (&str, &str)| a == b || hides(a, b) || hides(b, a);
    let depth = queue.split(':').count();
    pattern.split(':').count() > depth && pattern.split(':').zip(queue.split(':')).all(same)
}

/// Families of the queue's job hashes.
pub fn jobs<'a>(keys: &'a KeySample, queue: &Queue) -> impl Iterator<Item = &'a Pattern> {
    let (database, head) = (queue.database, format!("{}:", queue.name));
    keys.patterns
        .iter()
        .filter(move |p| p.database == database && p.kind == "hash" && p.queue_part.as_deref() == Some("job") && p.pattern.starts_with(&head))
}

/// Every job that a part of the queue names.
pub fn held(lengths: &QueueLengths) -> u64 {
    lengths.waiting() + lengths.active + lengths.delayed + lengths.waiting_children + lengths.completed + lengths.failed
}

/// "events", "workflows", "scheduled jobs": what does not run while the queue stands still.
pub fn carries(queue: &Queue) -> &'static str {
    match queue.role {
        Role::EventBus => "subscribers",
        Role::Workflows if queue.name.ends_with("-jobs") => "scheduled jobs",
        Role::Workflows => "retries and timeouts of workflows",
        _ => "jobs of the store's own",
    }
}

/// What a finding on this queue touches.
pub fn touch(queue: &Queue) -> String {
    format!("keys:{}", queue.name)
}

/// The subject's name; a queue of another logical database is another queue.
pub fn subject(instance: &Instance, queue: &Queue) -> String {
    let database = if queue.database == 0 { String::new() } else { format!(" in database {}", queue.database) };
    format!("{}{database} on {}", queue.name, instance.name)
}

/// Opens the queue in a script that is run from the project's folder.
pub fn open_queue(queue: &Queue) -> String {
    let (prefix, own) = parts(queue);
    let (prefix, own) = (if prefix.contains('<') { "PREFIX" } else { prefix }, if own.contains('<') { "QUEUE" } else { own });
    format!(
        "const {{ Queue }} = require(\"bullmq\")\nconst Redis = require(\"ioredis\")\n\n\
         const connection = new Redis(process.env.REDIS_URL, {{ db: {}, maxRetriesPerRequest: null }})\n\
         const queue = new Queue(\"{own}\", {{ prefix: \"{prefix}\", connection }})",
        queue.database
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> Queue {
        Queue { database: 0, name: name.into(), role: Role::EventBus, now: QueueLengths::default(), before: None, is_attended: false }
    }

    fn client(name: &str, command: &str) -> ClientGroup {
        ClientGroup { name: name.into(), command: command.into(), count: 2, database: 0 }
    }

    #[test]
    fn workers_are_known_by_the_name_of_their_connection() {
        let events = queue("RedisEventBusService:events-queue");
        assert_eq!(workers(&events, &[client("RedisEventBusService:ZXZlbnRzLXF1ZXVl", "bzpopmin")]), Workers::Some(2));
        assert_eq!(workers(&events, &[client("RedisEventBusService:ZXZlbnRzLXF1ZXVl:<id>:<id>", "bzpopmin")]), Workers::Some(2));
        assert_eq!(workers(&events, &[client("RedisEventBusService:ZXZlbnRzLXF1ZXVl", "info")]), Workers::Some(2), "busy from the start");
        assert_eq!(workers(&events, &[client("RedisEventBusService:ZXZlbnRzLXF1ZXVl:<id>:<id>", "info")]), Workers::Some(2));
        // A listener reads the stream of events and takes no job.
        assert_eq!(workers(&events, &[client("RedisEventBusService:ZXZlbnRzLXF1ZXVl:<id>", "xread")]), Workers::None);
        assert_eq!(workers(&events, &[client("bull:ZXZlbnRzLXF1ZXVl", "bzpopmin"), client("", "bzpopmin")]), Workers::None);
        let flows = queue("bull:medusa-workflows");
        assert_eq!(workers(&flows, &[client("bull:bWVkdXNhLXdvcmtmbG93cw==", "bzpopmin")]), Workers::Some(2));
        assert_eq!(workers(&flows, &[client("bull:bWVkdXNhLXdvcmtmbG93cy1qb2Jz", "bzpopmin")]), Workers::None);
        let other = ClientGroup { database: 3, ..client("bull:bWVkdXNhLXdvcmtmbG93cw==", "bzpopmin") };
        assert_eq!(workers(&flows, &[other]), Workers::None);
        assert_eq!(workers(&queue("bull:<id>"), &[client("bull:<id>", "bzpopmin")]), Workers::Some(2));
        assert_eq!(workers(&queue("shop:mails"), &[]), Workers::Untold);
        let own = Queue { role: Role::Queue, ..queue("bull:parcels") };
        assert_eq!(workers(&own, &[client("bull:<id>", "bzpopmin")]), Workers::Untold, "somebody works, on a queue whose name is not kept");
        assert_eq!(workers(&own, &[client("bull:<id>:<id>", "xread")]), Workers::None);
        assert_eq!(workers(&flows, &[client("bull:<id>", "bzpopmin")]), Workers::None, "Medusa's own are always kept");
    }
}
