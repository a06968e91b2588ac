//! BullMQ queues: how many jobs each part holds, when a queue is first seen and again at the end. Lengths alone, no job is read.

use std::collections::BTreeMap;
use std::time::Instant;

use redis::{Cmd, Value};

use super::pattern::{Names, QUEUE_PARTS, reduce};
use super::session::{Answer, Session, command, count_lookup, integer, text};
use crate::connect::redis::Refusal;
use crate::evidence::redis::{Queue, QueueLengths, Role};
use crate::evidence::{Gap, Section, Seen};

/// Queues that are read; a store has four of Medusa's own and a handful beside them.
const QUEUES_MAX: usize = 50;
/// Medusa's own, which are there even where the sample did not meet them: prefix and queue.
const STOCK: [&str; 4] = ["RedisEventBusService:events-queue", "bull:medusa-workflows", "bull:medusa-workflows-jobs", "bull:workflows-cleaner"];
/// The parts that hold jobs, with the command that counts them.
const PARTS: [(&str, &str); 8] = [
    ("wait", "LLEN"),
    ("paused", "LLEN"),
    ("prioritized", "ZCARD"),
    ("active", "LLEN"),
    ("delayed", "ZCARD"),
    ("waiting-children", "ZCARD"),
    ("completed", "ZCARD"),
    ("failed", "ZCARD"),
];
/// Keys without jobs that tell what a queue is: its settings, its worker's mark, its log.
const SIGNS: [&str; 3] = ["meta", "stalled-check", "events"];
const GRANT: &str = "~* +select +type +llen +zcard";

/// A queue's database and raw name; the name never leaves the collector.
type Place = (u32, String);

/// The queues of one instance.
#[derive(Default)]
pub struct Queues {
    /// Databases in which Medusa's own queues are looked for.
    databases: Vec<u32>,
    first: BTreeMap<Place, Option<(Instant, QueueLengths)>>,
    gap: Option<Gap>,
    /// What the user told of the store's own prefixes.
    told: Names,
}

impl Queues {
    pub fn new(databases: Vec<u32>, told: Names) -> Self {
        Self { databases, told, ..Self::default() }
    }

    /// Reads Medusa's own queues for the first time.
    pub async fn open(&mut self, session: &mut Session) {
        let stock: Vec<Place> = self.databases.iter().flat_map(|d| STOCK.iter().map(|name| (*d, (*name).to_owned()))).collect();
        self.meet(session, stock).await;
    }

    /// Reads those of `places` that are new.
    pub async fn meet(&mut self, session: &mut Session, places: Vec<Place>) {
        for place in places {
            if self.gap.is_some() || self.first.len() == QUEUES_MAX || self.first.contains_key(&place) {
                continue;
            }
            let lengths = match read(session, &place).await {
                Ok(found) => found.map(|f| (Instant::now(), f.lengths)),
                Err(refusal) => {
                    self.gap = Some(session.gap(Section::RedisQueues, "LLEN and ZCARD", GRANT, &refusal));
                    return;
                }
            };
            self.first.insert(place, lengths);
        }
    }

    /// Reads every queue once more. Queues that are not there are left out.
    pub async fn close(self, session: &mut Session) -> Seen<Vec<Queue>> {
        if let Some(gap) = self.gap {
            return Err(gap);
        }
        let mut queues = Vec::new();
        for (place, first) in self.first {
            let read = read(session, &place).await;
            let Some(found) = read.map_err(|r| session.gap(Section::RedisQueues, "LLEN and ZCARD", GRANT, &r))? else { continue };
            let (name, role) = reduced(&place.1, found.is_proven, &self.told);
            let before = first.map(|(at, lengths)| (at.elapsed().as_secs_f64(), lengths));
            queues.push(Queue { database: place.0, name, role, now: found.lengths, before, is_attended: found.is_attended });
        }
        queues.sort_by(|a, b| (a.database, &a.name, a.now.waiting()).cmp(&(b.database, &b.name, b.now.waiting())));
        Ok(queues)
    }
}

/// The queue that a key belongs to, where its last segments are BullMQ's: `bull:mails:failed` belongs to `bull:mails`.
pub fn queue_of(key: &str) -> Option<&str> {
    let (parent, part) = key.rsplit_once(':')?;
    // Job ids can be any word; only the parts that every queue has tell one.
    (QUEUE_PARTS.contains(&part) && part != "id" && parent.contains(':')).then_some(parent)
}

/// What was read of one queue.
struct Found {
    lengths: QueueLengths,
    is_attended: bool,
    /// `meta` and another of BullMQ's own keys are there: the name is a program's and no coincidence.
    is_proven: bool,
}

fn reduced(parent: &str, is_proven: bool, told: &Names) -> (String, Role) {
    let meta = format!("{parent}:meta");
    let names = if is_proven { Names::learn([meta.as_str(), &format!("{parent}:id")].into_iter()) } else { Names::default() };
    let names = names.with(told);
    let reduced = reduce(&meta, &names);
    (reduced.pattern.strip_suffix(":meta").unwrap_or(&reduced.pattern).to_owned(), reduced.role)
}

/// `None` where there is no such queue.
async fn read(session: &mut Session, (database, parent): &Place) -> Result<Option<Found>, Refusal> {
    let mut commands: Vec<Cmd> = vec![command(&["SELECT", &database.to_string()])];
    commands.extend(SIGNS.iter().map(|part| command(&["TYPE", &format!("{parent}:{part}")])));
    commands.extend(PARTS.iter().map(|(part, count)| command(&[count, &format!("{parent}:{part}")])));
    let answers: Vec<Value> = session.ask_all(commands).await?.into_iter().map(told).collect::<Result<_, _>>()?;
    let is_there = |at: usize| answers.get(at).and_then(text).is_some_and(|kind| kind != "none");
    let length = |part: &str| {
        let at = PARTS.iter().position(|(p, _)| *p == part).map_or(0, |i| i + 1 + SIGNS.len());
        // What is no number is not none.
        let unknown = || Refusal::Other("LLEN or ZCARD answered in an unknown form".to_owned());
        answers.get(at).and_then(integer).and_then(|n| u64::try_from(n).ok()).ok_or_else(unknown)
    };
    let lengths = QueueLengths {
        wait: length("wait")?,
        paused: length("paused")?,
        prioritized: length("prioritized")?,
        active: length("active")?,
        delayed: length("delayed")?,
        waiting_children: length("waiting-children")?,
        completed: length("completed")?,
        failed: length("failed")?,
    };
    let (has_meta, is_attended, has_events) = (is_there(1), is_there(2), is_there(3));
    [has_meta, is_attended, has_events].into_iter().for_each(|is_hit| count_lookup(session, is_hit));
    for (part, _) in PARTS {
        count_lookup(session, length(part)? > 0);
    }
    let has_jobs = lengths != QueueLengths::default();
    let found = Found { lengths, is_attended, is_proven: has_meta && (is_attended || has_events || has_jobs) };
    Ok((has_meta || is_attended || has_jobs).then_some(found))
}

/// A key of another type under a part's name is no queue's, and one that another node of a cluster holds is read there.
fn told(answer: Answer) -> Answer {
    match answer {
        Err(Refusal::Other(words)) if words.starts_with("WRONGTYPE") || is_elsewhere(&words) => Ok(Value::Int(0)),
        other => other,
    }
}

/// A cluster's node points to the one that holds the key.
pub fn is_elsewhere(words: &str) -> bool {
    ["MOVED ", "ASK "].iter().any(|code| words.starts_with(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_told_by_its_parts() {
        assert_eq!(queue_of("bull:mails:failed"), Some("bull:mails"));
        assert_eq!(queue_of("shop:jobs:mails:meta"), Some("shop:jobs:mails"));
        for key in ["bull:mails:12", "meta", "cache:meta:1", "x:id", "product:id"] {
            assert_eq!(queue_of(key), None, "{key}");
        }
    }

    #[test]
    fn only_a_pointer_to_another_node_stands_for_nothing() {
        let of = |words: &str| told(Err(Refusal::Other(words.to_owned())));
        for words in ["MOVED 866 127.0.0.1:7001", "ASK 866 127.0.0.1:7001", "WRONGTYPE Operation against a key"] {
            assert_eq!(of(words), Ok(Value::Int(0)), "{words}");
        }
        assert!(of("CLUSTERDOWN The cluster is down").is_err() && of("ERR").is_err());
    }

    #[test]
    fn queues_keep_no_name_that_is_not_of_the_trade() {
        assert_eq!(
            reduced("RedisEventBusService:events-queue", false, &Names::default()),
            ("RedisEventBusService:events-queue".to_owned(), Role::EventBus)
        );
        assert_eq!(reduced("bull:medusa-workflows-jobs", false, &Names::default()), ("bull:medusa-workflows-jobs".to_owned(), Role::Workflows));
        assert_eq!(reduced("bull:jane@example.com", true, &Names::default()).0, "bull:<id>");
        assert_eq!(
            (reduced("bull:harbor-mails", true, &Names::default()).0.as_str(), reduced("bull:harbor-mails", false, &Names::default()).0.as_str()),
            ("bull:harbor-mails", "bull:<id>")
        );
    }
}
