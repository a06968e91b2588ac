//! BullMQ queues: how many jobs each part holds, when a queue is first seen and again at the end. Lengths alone, no job is read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use redis::{Cmd, Value};

use super::pattern::{Names, QUEUE_PARTS, reduce};
use super::session::{Answer, Session, command, count_lookup, integer, text};
use crate::connect::redis::Refusal;
use crate::evidence::redis::{Queue, QueueLengths, Role};
use crate::evidence::{Gap, Section, Seen};

/// Queues that are read; a store has four of Medusa's own and a handful beside them.
const QUEUES_MAX: usize = 50;
/// Names that are looked for: what looks like a queue's key need not be one, and Medusa's own are looked for in every database.
const TRIED_MAX: usize = 400;
/// Queues that are asked for in one pipeline, of a dozen commands each.
const BATCH: usize = 32;
/// Medusa's own, which are there even where the sample did not meet them: prefix and queue.
const STOCK: [&str; 4] = ["RedisEventBusService:events-queue", "bull:medusa-workflows", "bull:medusa-workflows-jobs", "bull:workflows-cleaner"];
/// What stands before the name of a queue: Medusa's event bus and BullMQ's default, in a cluster in brackets.
const PREFIXES: [&str; 4] = ["RedisEventBusService:", "bull:", "{RedisEventBusService}:", "{bull}:"];
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
    /// `None`: no such queue was there.
    first: BTreeMap<Place, Option<(Instant, QueueLengths)>>,
    /// Met when there was no room for more.
    left_out: BTreeSet<Place>,
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
        let fresh: Vec<Place> = places.into_iter().filter(|p| !self.first.contains_key(p)).collect();
        for batch in fresh.chunks(BATCH) {
            if self.gap.is_some() {
                return;
            }
            if self.is_full() {
                self.left_out.extend(batch.iter().cloned());
                continue;
            }
            match read(session, batch).await {
                Ok(found) => batch.iter().zip(found).for_each(|(place, found)| self.keep(place.clone(), found)),
                Err(refusal) => self.gap = Some(session.gap(Section::RedisQueues, "LLEN and ZCARD", GRANT, &refusal)),
            }
        }
    }

    /// Only queues that are there take room.
    fn is_full(&self) -> bool {
        self.first.len() >= TRIED_MAX || self.first.values().flatten().count() >= QUEUES_MAX
    }

    fn keep(&mut self, place: Place, found: Option<Found>) {
        if found.is_some() && self.is_full() {
            self.left_out.insert(place);
        } else {
            self.first.insert(place, found.map(|f| (Instant::now(), f.lengths)));
        }
    }

    /// Reads every queue once more. Queues that are not there are left out; with them, how many were met and not read.
    pub async fn close(self, session: &mut Session) -> (Seen<Vec<Queue>>, u64) {
        let left_out = self.left_out.len() as u64;
        (self.read_again(session).await, left_out)
    }

    async fn read_again(self, session: &mut Session) -> Seen<Vec<Queue>> {
        if let Some(gap) = self.gap {
            return Err(gap);
        }
        let mut queues = Vec::new();
        let first: Vec<(Place, Option<(Instant, QueueLengths)>)> = self.first.into_iter().collect();
        for batch in first.chunks(BATCH) {
            let places: Vec<Place> = batch.iter().map(|(place, _)| place.clone()).collect();
            let found = read(session, &places).await;
            let found = found.map_err(|r| session.gap(Section::RedisQueues, "LLEN and ZCARD", GRANT, &r))?;
            for (((database, parent), first), found) in batch.iter().zip(found) {
                let Some(found) = found else { continue };
                let (name, role) = reduced(parent, found.is_proven, &self.told);
                let before = first.map(|(at, lengths)| (at.elapsed().as_secs_f64(), lengths));
                queues.push(Queue { database: *database, name, role, now: found.lengths, before, is_attended: found.is_attended });
            }
        }
        queues.sort_by(|a, b| (a.database, &a.name, a.now.waiting()).cmp(&(b.database, &b.name, b.now.waiting())));
        Ok(queues)
    }
}

/// The queue that a key belongs to: `bull:mails:failed` and the job `bull:mails:12` belong to `bull:mails`. Under a prefix that is not known,
/// a key tells its queue where its last segments are BullMQ's.
pub fn queue_of<'k>(key: &'k str, told: &Names) -> Option<&'k str> {
    let by_part = || {
        let (parent, part) = key.rsplit_once(':')?;
        // Job ids can be any word; only the parts that every queue has tell one.
        (QUEUE_PARTS.contains(&part) && part != "id" && parent.contains(':')).then_some(parent)
    };
    let by_prefix = || PREFIXES.iter().find_map(|prefix| named(key, prefix));
    by_part().or_else(by_prefix).or_else(|| told.queue_prefixes().find_map(|prefix| told_queue(key, prefix)))
}

/// Prefix and queue, where something follows them.
fn named<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    let end = key.strip_prefix(prefix)?.find(':').filter(|end| *end > 0)?;
    Some(&key[..prefix.len() + end])
}

/// The user's prefix may be BullMQ's, before many queues, or that of one queue.
fn told_queue<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    let is_bare = key.strip_prefix(prefix)?.starts_with(':');
    let head = &key[..prefix.len() + usize::from(is_bare)];
    named(key, head).or_else(|| Some(head.trim_end_matches(':')).filter(|queue| !queue.is_empty()))
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

/// Of each place its queue; `None` where there is none.
async fn read(session: &mut Session, places: &[Place]) -> Result<Vec<Option<Found>>, Refusal> {
    let answers = session.ask_all(places.iter().flat_map(questions).collect()).await?;
    let answers: Vec<Value> = answers.into_iter().map(told).collect::<Result<_, _>>()?;
    let per_queue = 1 + SIGNS.len() + PARTS.len();
    places.iter().zip(answers.chunks(per_queue)).map(|(_, answers)| found(session, answers)).collect()
}

fn questions((database, parent): &Place) -> Vec<Cmd> {
    let mut commands: Vec<Cmd> = vec![command(&["SELECT", &database.to_string()])];
    commands.extend(SIGNS.iter().map(|part| command(&["TYPE", &format!("{parent}:{part}")])));
    commands.extend(PARTS.iter().map(|(part, count)| command(&[count, &format!("{parent}:{part}")])));
    commands
}

fn found(session: &mut Session, answers: &[Value]) -> Result<Option<Found>, Refusal> {
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
        let queue_of = |key| queue_of(key, &Names::default());
        assert_eq!(queue_of("bull:mails:failed"), Some("bull:mails"));
        assert_eq!(queue_of("shop:jobs:mails:meta"), Some("shop:jobs:mails"));
        for key in ["shop:mails:12", "meta", "cache:meta:1", "x:id", "product:id", "bull:", "bull:mails", "bull::12"] {
            assert_eq!(queue_of(key), None, "{key}");
        }
    }

    #[test]
    fn a_queue_is_told_by_any_of_its_jobs_under_a_known_prefix() {
        let role = |prefix: &str, role: &str| crate::connect::profile::KeyRole { prefix: prefix.into(), role: role.into() };
        let told = Names::told(&[role("shop:", "queue"), role("acme", "events"), role("jobs:mails:", "queue"), role("page:", "cache")]);
        let of = |key: &str| queue_of(key, &told).map(str::to_owned);
        for (key, queue) in [
            ("bull:mails:12", "bull:mails"),
            ("bull:mails:12:lock", "bull:mails"),
            ("{bull}:mails:12", "{bull}:mails"),
            ("RedisEventBusService:orders:job_01M8456EARE0E0JD8T3TJ7PD05", "RedisEventBusService:orders"),
            ("shop:mails:12", "shop:mails"),
            ("acme:mails:12", "acme:mails"),
            ("jobs:mails:12", "jobs:mails"),
        ] {
            assert_eq!(of(key).as_deref(), Some(queue), "{key}");
        }
        for key in ["page:mails:12", "bullet:mails:12", "sess:bull:12"] {
            assert_eq!(of(key), None, "{key}");
        }
    }

    fn lengths(wait: u64) -> Found {
        Found { lengths: QueueLengths { wait, ..QueueLengths::default() }, is_attended: false, is_proven: false }
    }

    #[test]
    fn only_queues_that_are_there_take_room() {
        let mut queues = Queues::default();
        for database in 0..14 {
            STOCK.iter().for_each(|name| queues.keep((database, (*name).to_owned()), None));
        }
        for i in 0..QUEUES_MAX {
            assert!(!queues.is_full());
            queues.keep((0, format!("bull:mails{i}")), Some(lengths(1)));
        }
        assert!(queues.is_full() && queues.left_out.is_empty());
        queues.keep((0, "bull:one-more".to_owned()), Some(lengths(1)));
        assert_eq!(queues.left_out.len(), 1, "and it is told");
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
