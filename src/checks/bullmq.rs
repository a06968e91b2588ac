//! BullMQ queues as the checks see them: who works on them, which keys are theirs, how a reader names them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::evidence::redis::{ClientGroup, Instance, KeySample, Pattern, Queue, QueueLengths, Role};

/// Prefixes whose client names the collector keeps: Medusa's event bus, and BullMQ's default.
const PREFIXES: [&str; 2] = ["RedisEventBusService", "bull"];
/// Stands for a name that is no word of the trade.
const HIDDEN: &str = "<id>";

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
