//! A bounded SCAN sample of all logical databases in use: types, lifetimes and sizes, never a value. Raw key names live only
//! here and are reduced to patterns before anything leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use redis::{Cmd, Value};

use super::families::{self, LARGE_ELEMENTS, Sampled, Scanned};
use super::pattern::{Names, reduce};
use super::queues::{is_elsewhere, queue_of};
use super::session::{Answer, Session, count_lookup, integer, list, text};
use crate::connect::profile::Limits;
use crate::connect::redis::Refusal;
use crate::evidence::redis::{DatabaseSample, KeySample, LogicalDatabase, Role};
use crate::evidence::{Gap, Section};

/// Keys a SCAN asks for at a time: a pipeline of about three times as many commands, each O(1).
const BATCH: u32 = 40;
/// Keys of one family whose idleness is asked for, and whose size where they are collections; every single value and every long collection
/// is measured.
const MEASURED_PER_FAMILY: u32 = 60;
/// Commands an audit spends on one key at most, on average: ends a scan of sparse databases.
const COMMANDS_PER_KEY_MAX: u64 = 4;
/// A database gets at least this many of the sampled keys, however large its neighbours are.
const DATABASE_KEYS_MIN: u64 = 200;
/// Queue keys that decide what an instance is used for: looked up by name in every database, some of which the scan may never come to.
const TELLING_KEYS: [&str; 4] =
    ["RedisEventBusService:events-queue:meta", "bull:medusa-workflows:meta", "bull:medusa-workflows-jobs:meta", "bull:workflows-cleaner:meta"];

/// Databases in which they are looked up in one pipeline.
const DATABASES_AT_ONCE: usize = 16;

/// A sample being taken, one small step at a time.
pub struct Sampler {
    databases: Vec<LogicalDatabase>,
    /// Keys to sample of each database.
    shares: Vec<u64>,
    at: usize,
    is_selected: bool,
    cursor: Vec<u8>,
    limits: Limits,
    deadline: Option<Instant>,
    commands: u64,
    seen: HashSet<Vec<u8>>,
    /// The telling keys were looked up.
    is_told: bool,
    /// Those that are there, by database.
    named: BTreeSet<(u32, Vec<u8>)>,
    quota: HashMap<String, u32>,
    roles: BTreeSet<Role>,
    scanned: Vec<Scanned>,
    sampled: Vec<Sampled>,
    ended_by: Option<&'static str>,
    gap: Option<Gap>,
    can_measure: bool,
    can_idle: bool,
    can_frequency: bool,
    can_count: bool,
    /// What the user told of the store's own prefixes.
    names: Names,
    /// Queues met since they were last asked for: database and raw name.
    queues: BTreeSet<(u32, String)>,
}

impl Sampler {
    pub fn new(databases: Vec<LogicalDatabase>, names: Names, limits: &Limits) -> Self {
        let total: u64 = databases.iter().map(|d| d.keys).sum();
        let keys_max = u64::from(limits.redis_keys_max);
        let share = |d: &LogicalDatabase| {
            let fair = (u128::from(keys_max) * u128::from(d.keys) / u128::from(total.max(1))) as u64;
            fair.max(DATABASE_KEYS_MIN.min(keys_max))
        };
        Self {
            shares: databases.iter().map(share).collect(),
            databases,
            at: 0,
            is_selected: false,
            cursor: b"0".to_vec(),
            limits: limits.clone(),
            deadline: None,
            commands: 0,
            seen: HashSet::new(),
            is_told: false,
            named: BTreeSet::new(),
            quota: HashMap::new(),
            roles: BTreeSet::new(),
            scanned: Vec::new(),
            sampled: Vec::new(),
            ended_by: None,
            gap: None,
            can_measure: true,
            can_idle: true,
            can_frequency: false,
            can_count: true,
            names,
            queues: BTreeSet::new(),
        }
    }

    pub fn is_done(&self) -> bool {
        self.gap.is_some() || self.at >= self.databases.len() || self.ended_by.is_some_and(|by| by != "keys")
    }

    /// The whole sample shows cache keys and nothing else. `false` until it is done.
    pub fn shows_cache_alone(&self) -> bool {
        self.is_done() && !self.roles.is_empty() && self.roles.iter().all(|r| r.is_cache())
    }

    /// Queues met since this was last called.
    pub fn take_queues(&mut self) -> Vec<(u32, String)> {
        std::mem::take(&mut self.queues).into_iter().collect()
    }

    /// Another conversation on the session may have chosen another database.
    pub fn select_again(&mut self) {
        self.is_selected = false;
    }

    /// The server counts how often keys are used instead of when: an LFU policy.
    pub fn counts_frequency(&mut self) {
        (self.can_idle, self.can_frequency) = (false, true);
    }

    pub fn sampled(&self) -> u64 {
        self.sampled.len() as u64
    }

    /// Stops where it is: what was sampled until now is the sample.
    pub fn stop(&mut self, why: &'static str) {
        if !self.is_done() {
            self.close_database(false);
            self.ended_by = Some(why);
        }
    }

    /// Scans one batch. Bounded by the commands-a-second budget; returns when its answers are in.
    pub async fn step(&mut self, session: &mut Session) {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + Duration::from_secs(u64::from(self.limits.redis_scan_s_max)));
        if Instant::now() >= deadline {
            return self.stop("seconds");
        }
        if self.commands >= u64::from(self.limits.redis_keys_max) * COMMANDS_PER_KEY_MAX {
            return self.stop("commands");
        }
        let stepped = if self.is_told { self.batch(session).await } else { self.look_up_telling_keys(session).await };
        if let Err((what, grant, refusal)) = stepped {
            self.fail(session, what, grant, &refusal);
        }
    }

    /// A lost connection keeps what was sampled; a refused command leaves a gap.
    fn fail(&mut self, session: &Session, what: &str, grant: &str, refusal: &Refusal) {
        if refusal.is_final() && !self.sampled.is_empty() {
            self.stop("a lost connection");
        } else {
            self.gap = Some(session.gap(Section::RedisKeys, what, grant, refusal));
        }
    }

    async fn batch(&mut self, session: &mut Session) -> Result<(), Failed> {
        let scan = |r| ("SCAN", "~* +scan +select", r);
        let database = self.databases[self.at].index;
        self.seen.extend(self.named.iter().filter(|(of, _)| *of == database).map(|(_, key)| key.clone()));
        let mut commands = Vec::new();
        if !self.is_selected {
            commands.push(cmd("SELECT", &[database.to_string().as_bytes()]));
        }
        commands.push(cmd("SCAN", &[&self.cursor, b"COUNT", BATCH.to_string().as_bytes()]));
        self.commands += commands.len() as u64;
        let mut answers = session.ask_all(commands).await.map_err(scan)?;
        let page = answers.pop().unwrap_or(Err(Refusal::Dropped)).map_err(scan)?;
        if let Some(selected) = answers.pop() {
            selected.map_err(|r| ("SELECT", "+select", r))?;
            self.is_selected = true;
        }
        let (cursor, keys) = page_of(&page).ok_or_else(|| scan(Refusal::Other("SCAN answered in an unknown form".to_owned())))?;
        let room = self.shares[self.at].saturating_sub(self.seen.len() as u64) as usize;
        let fresh: Vec<Vec<u8>> = keys.into_iter().filter(|k| !self.seen.contains(k)).take(room).collect();
        self.seen.extend(fresh.iter().cloned());
        let names = fresh.iter().filter_map(|k| std::str::from_utf8(k).ok());
        self.queues.extend(names.filter_map(|k| queue_of(k, &self.names)).map(|q| (database, q.to_owned())));
        self.look(session, fresh, true).await?;
        self.cursor = cursor;
        let is_end = self.cursor == b"0";
        if is_end || self.seen.len() as u64 >= self.shares[self.at] {
            if !is_end {
                self.ended_by = Some("keys");
            }
            self.close_database(is_end);
        }
        Ok(())
    }

    /// Before the scan: one that runs out of time has never seen some databases.
    async fn look_up_telling_keys(&mut self, session: &mut Session) -> Result<(), Failed> {
        self.is_told = true;
        for first in (0..self.databases.len()).step_by(DATABASES_AT_ONCE) {
            self.find_telling_keys(session, first..self.databases.len().min(first + DATABASES_AT_ONCE)).await?;
        }
        for at in 0..self.databases.len() {
            let index = self.databases[at].index;
            let there: Vec<Vec<u8>> = self.named.iter().filter(|(of, _)| *of == index).map(|(_, key)| key.clone()).collect();
            if there.is_empty() {
                continue;
            }
            let selected = self.send(session, vec![cmd("SELECT", &[index.to_string().as_bytes()])]).await;
            selected.and_then(|answers| answers.into_iter().collect::<Result<Vec<_>, _>>()).map_err(|r| ("SELECT", "+select", r))?;
            self.at = at;
            let looked = self.look(session, there, false).await;
            self.at = 0;
            looked?;
        }
        self.is_selected = false;
        self.quota.clear();
        Ok(())
    }

    /// Which of them are there at all, in a few databases at once.
    async fn find_telling_keys(&mut self, session: &mut Session, databases: std::ops::Range<usize>) -> Result<(), Failed> {
        let indices: Vec<u32> = self.databases[databases].iter().map(|d| d.index).collect();
        let of_one = |index: &u32| {
            let select = cmd("SELECT", &[index.to_string().as_bytes()]);
            std::iter::once(select).chain(TELLING_KEYS.iter().map(|key| cmd("TYPE", &[key.as_bytes()])))
        };
        let answers = self.send(session, indices.iter().flat_map(of_one).collect()).await.map_err(|r| ("TYPE", "~* +select +type", r))?;
        for (index, answers) in indices.iter().zip(answers.chunks(1 + TELLING_KEYS.len())) {
            for (key, answer) in TELLING_KEYS.iter().zip(&answers[1..]) {
                // A user of fewer keys may not ask for it, and another node of a cluster may hold it: the scan tells what there is.
                let Ok(kind) = answer else { continue };
                let is_there = text(kind).is_some_and(|kind| kind != "none");
                count_lookup(session, is_there);
                if is_there && answers[0].is_ok() {
                    self.named.insert((*index, key.as_bytes().to_vec()));
                }
            }
        }
        Ok(())
    }

    /// Ends this database and moves on to the next one.
    fn close_database(&mut self, is_complete: bool) {
        let Some(d) = self.databases.get(self.at) else { return };
        // What was looked up by name stands for no other.
        let drawn = self.seen.iter().filter(|k| is_complete || !self.named.contains(&(d.index, (*k).clone()))).count();
        let sampled = drawn as u64;
        // Keys come and go while we scan: a complete scan knows better than INFO did before it.
        let keys = if is_complete { sampled } else { d.keys.max(sampled) };
        self.scanned.push(Scanned { database: d.index, keys, sampled, is_complete });
        self.at += 1;
        self.is_selected = false;
        self.cursor = b"0".to_vec();
        self.seen.clear();
        self.quota.clear();
    }

    /// Asks for type and lifetime of `keys`, and for the size and idleness of those that are wanted.
    async fn look(&mut self, session: &mut Session, keys: Vec<Vec<u8>>, is_drawn: bool) -> Result<(), Failed> {
        if keys.is_empty() {
            return Ok(());
        }
        let met: Vec<Met> = keys.iter().map(|k| self.meet(k)).collect();
        let idle = self.ask_use(session, &keys, &met).await?;
        let commands = keys.iter().flat_map(|k| [cmd("TYPE", &[k]), cmd("PTTL", &[k])]).collect();
        let answers = self.send(session, commands).await.map_err(|r| ("TYPE", "~* +type +pttl", r))?;
        let mut found = Vec::new();
        for (i, pair) in answers.chunks(2).enumerate() {
            // A key asked for by name may be another node's of a cluster, or be moved to one meanwhile.
            if matches!(&pair[0], Err(Refusal::Other(words)) if is_elsewhere(words)) {
                continue;
            }
            let kind = pair[0].clone().map_err(|r| ("TYPE", "~* +type", r))?;
            let ttl = pair[1].clone().map_err(|r| ("PTTL", "~* +pttl", r))?;
            // No text at all: the key is counted, of a kind nobody knows.
            let kind = text(&kind).unwrap_or_else(|| "unknown".to_owned());
            let ttl = integer(&ttl).unwrap_or(-2);
            count_lookup(session, kind != "none");
            count_lookup(session, ttl != -2);
            // Expired between SCAN and now.
            if kind != "none" && ttl != -2 {
                let ttl_ms = u64::try_from(ttl).ok();
                let mut key = Sampled::new(self.databases[self.at].index, keys[i].clone(), kind, ttl_ms, is_drawn);
                let used = idle.get(&i).copied();
                (key.idle_s, key.frequency) = if self.can_frequency { (None, used) } else { (used, None) };
                found.push((key, met[i]));
            }
        }
        self.ask_sizes(session, found).await
    }

    fn meet(&mut self, key: &[u8]) -> Met {
        let family = reduce(&String::from_utf8_lossy(key), &self.names);
        self.roles.insert(family.role);
        let used = self.quota.entry(family.pattern).or_default();
        *used += 1;
        Met { role: family.role, is_in_quota: *used <= MEASURED_PER_FAMILY }
    }

    /// Seconds since each key was last used, or under an LFU policy how often. Asked before anything else of the key: counting its
    /// elements would make it look used.
    async fn ask_use(&mut self, session: &mut Session, keys: &[Vec<u8>], met: &[Met]) -> Result<BTreeMap<usize, u64>, Failed> {
        let (word, grant): (&[u8], _) = match (self.can_idle, self.can_frequency) {
            (true, _) => (b"IDLETIME", "~* +object|idletime"),
            (_, true) => (b"FREQ", "~* +object|freq"),
            _ => return Ok(BTreeMap::new()),
        };
        let asked: Vec<usize> = (0..keys.len()).filter(|i| met[*i].is_in_quota).collect();
        let commands = asked.iter().map(|i| cmd("OBJECT", &[word, &keys[*i]])).collect();
        let answers = self.send(session, commands).await.map_err(|r| ("OBJECT", grant, r))?;
        // Without the permission, or under another policy than INFO told, there is no such figure; the rest of the sample is as good.
        let is_told = answers.iter().all(Result::is_ok);
        (self.can_idle, self.can_frequency) = (self.can_idle && is_told, self.can_frequency && is_told);
        let mut found = BTreeMap::new();
        for (i, answer) in asked.into_iter().zip(answers) {
            if let Ok(value) = answer {
                let idle = integer(&value).and_then(|s| u64::try_from(s).ok());
                count_object_lookup(session, idle.is_some());
                found.extend(idle.map(|s| (i, s)));
            }
        }
        Ok(found)
    }

    async fn ask_sizes(&mut self, session: &mut Session, mut found: Vec<(Sampled, Met)>) -> Result<(), Failed> {
        if self.can_count {
            let collections = found.iter().enumerate().filter(|(_, (k, met))| !is_one_value(&k.kind, met.role));
            let counted: Vec<(usize, &str)> = collections.filter_map(|(i, (k, _))| Some((i, count_command(&k.kind)?))).collect();
            let commands = counted.iter().map(|(i, name)| cmd(name, &[&found[*i].0.key])).collect();
            let answers = self.send(session, commands).await.map_err(|r| ("HLEN", "~* +hlen +scard +zcard +llen +xlen", r))?;
            let indices: Vec<usize> = counted.iter().map(|(i, _)| *i).collect();
            for (i, answer) in indices.into_iter().zip(answers) {
                match answer {
                    Ok(value) => {
                        let n = integer(&value).and_then(|n| u64::try_from(n).ok());
                        count_lookup(session, n.is_some_and(|n| n > 0));
                        found[i].0.elements = n;
                    }
                    Err(Refusal::NoPermission(_) | Refusal::UnknownCommand) => self.can_count = false,
                    // The key was replaced by one of another type meanwhile.
                    Err(_) => {}
                }
            }
        }
        if self.can_measure {
            let is_wanted =
                |(k, met): &(Sampled, Met)| met.is_in_quota || is_one_value(&k.kind, met.role) || k.elements.is_some_and(|n| n >= LARGE_ELEMENTS);
            let asked: Vec<usize> = (0..found.len()).filter(|i| is_wanted(&found[*i])).collect();
            let commands = asked.iter().map(|i| cmd("MEMORY", &[b"USAGE", &found[*i].0.key, b"SAMPLES", b"5"])).collect();
            let answers = self.send(session, commands).await.map_err(|r| ("MEMORY USAGE", "~* +memory|usage", r))?;
            for (i, answer) in asked.into_iter().zip(answers) {
                match answer {
                    Ok(value) => found[i].0.bytes = integer(&value).and_then(|n| u64::try_from(n).ok()),
                    Err(_) => self.can_measure = false,
                }
            }
        }
        self.sampled.extend(found.into_iter().map(|(key, _)| key));
        Ok(())
    }

    async fn send(&mut self, session: &mut Session, commands: Vec<Cmd>) -> Result<Vec<Answer>, Refusal> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.commands += commands.len() as u64;
        session.ask_all(commands).await
    }

    /// The sample as evidence: patterns in place of names.
    ///
    /// # Errors
    /// The gap that a refused command left.
    pub fn finish(mut self) -> Result<KeySample, Gap> {
        self.stop("a cancelled run");
        if let Some(gap) = self.gap {
            return Err(gap);
        }
        // Databases the scan never came to.
        let rest = self.databases.iter().skip(self.at).map(|d| Scanned { database: d.index, keys: d.keys, sampled: 0, is_complete: false });
        let scanned: Vec<Scanned> = self.scanned.iter().copied().chain(rest).collect();
        let is_complete = scanned.iter().all(|s| s.is_complete);
        Ok(KeySample {
            keys_total: scanned.iter().map(|s| s.keys).sum(),
            keys_sampled: self.sampled.len() as u64,
            is_complete,
            ended_by: self.ended_by.filter(|_| !is_complete).map(str::to_owned),
            patterns: families::fold(&self.sampled, &scanned, &self.names),
            databases: scanned.iter().map(of_database).collect(),
        })
    }
}

fn of_database(s: &Scanned) -> DatabaseSample {
    DatabaseSample { index: s.database, keys: s.keys, sampled: s.sampled, is_complete: s.is_complete }
}

/// What a key's name decides of how it is looked at.
#[derive(Clone, Copy)]
struct Met {
    role: Role,
    /// Among the first of its family.
    is_in_quota: bool,
}

/// Strings, and the hashes of the caching module, which hold an entry in one of their two fields. MEMORY USAGE tells their size at once; unlike
/// STRLEN and HLEN it is no lookup to the server's counters and does not make the key look used (7.0.15, tried).
fn is_one_value(kind: &str, role: Role) -> bool {
    kind == "string" || (kind == "hash" && role == Role::Cache)
}

/// The command, the ACL rules that allow it, and the refusal.
type Failed = (&'static str, &'static str, Refusal);

fn cmd(name: &str, arguments: &[&[u8]]) -> Cmd {
    let mut command = redis::cmd(name);
    for argument in arguments {
        command.arg(*argument);
    }
    command
}

fn count_command(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "hash" => "HLEN",
        "set" => "SCARD",
        "zset" => "ZCARD",
        "list" => "LLEN",
        "stream" => "XLEN",
        _ => return None,
    })
}

/// OBJECT is a lookup like others, but for a missing key on Redis 6.0.
fn count_object_lookup(session: &mut Session, is_hit: bool) {
    if is_hit || session.counts_object_misses {
        count_lookup(session, is_hit);
    }
}

fn page_of(page: &Value) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let [Value::BulkString(cursor), keys] = list(page)? else { return None };
    let keys = list(keys)?.iter().filter_map(|k| if let Value::BulkString(b) = k { Some(b.clone()) } else { None });
    Some((cursor.clone(), keys.collect()))
}
