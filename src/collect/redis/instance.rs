//! One instance through the audit: first reading, window, second reading, evidence.

use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::identity::{identity, joined};
use super::info::{self, Info, Reading};
use super::live::Figure;
use super::pattern::Names;
use super::queues::Queues;
use super::readings;
use super::sample::Sampler;
use super::session::{Session, command, integer, more_exposed, text};
use crate::collect::run::Lane;
use crate::connect::profile::{Limits, RedisProfile};
use crate::connect::redis::Refusal;
use crate::evidence::redis::{ClientGroup, Config, Instance, KeySample, LatencyEvent, LogicalDatabase, Queue, Server, SlowEntry};
use crate::evidence::{Cause, Gap, Section, Seen};

/// The INFO sections of a full reading; asked one by one because older servers take only one at a time.
const SECTIONS: [&str; 8] = ["server", "clients", "memory", "persistence", "stats", "replication", "keyspace", "commandstats"];
/// The INFO sections of a live sample.
const LIVE_SECTIONS: [&str; 3] = ["server", "stats", "commandstats"];
const PINGS: usize = 5;

/// One instance being read.
pub struct Reader {
    name: String,
    host: String,
    database: u32,
    limits: Limits,
    names: Names,
    session: Option<Session>,
    server: Seen<Server>,
    config: Seen<Config>,
    slowlog: Seen<Vec<SlowEntry>>,
    latency: Seen<Vec<LatencyEvent>>,
    clients: Seen<Vec<ClientGroup>>,
    sampler: Option<Sampler>,
    keys_gap: Option<Gap>,
    queues: Queues,
    queues_read: Seen<Vec<Queue>>,
    queues_left_out: u64,
    before: Option<Reading>,
    after: Option<Reading>,
    /// Newest slowlog id when the window opened.
    slow_before: Option<i64>,
    slowlog_lost: Option<u64>,
    commands_gap: Option<Gap>,
}

impl Reader {
    pub fn new(profile: &RedisProfile, session: Session, limits: &Limits) -> Self {
        let unread = Gap::new(Section::Redis, Cause::Unreadable, "Not read.");
        let mut reader = Self::lost(profile, unread);
        reader.session = Some(session);
        reader.limits = limits.clone();
        reader
    }

    /// An instance that could not be opened: every section is this gap.
    pub fn lost(profile: &RedisProfile, gap: Gap) -> Self {
        let of = |section| Gap { section, ..gap.clone() };
        Self {
            name: profile.address(),
            host: profile.host.clone(),
            database: profile.database,
            limits: Limits::default(),
            names: Names::told(&profile.roles),
            session: None,
            server: Err(of(Section::RedisServer)),
            config: Err(of(Section::RedisConfig)),
            slowlog: Err(of(Section::RedisSlowlog)),
            latency: Err(of(Section::RedisLatency)),
            clients: Err(of(Section::RedisClients)),
            sampler: None,
            keys_gap: Some(of(Section::RedisKeys)),
            queues: Queues::default(),
            queues_read: Err(of(Section::RedisQueues)),
            queues_left_out: 0,
            before: None,
            after: None,
            slow_before: None,
            slowlog_lost: None,
            commands_gap: Some(of(Section::RedisCommands)),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What tells this server from others. `None` where it was not told, as to a user without INFO, who is shown each database by its own
    /// address alone.
    pub fn identity(&self) -> Option<String> {
        self.before.as_ref().filter(|_| self.server.is_ok()).map(|reading| identity(&reading.run_id, &self.name))
    }

    /// Reads on in place of `other`, which reached the same server: under both names, with what was told of both, and with the session that
    /// may see more. What `other` asked is ours as well.
    pub fn absorb(&mut self, mut other: Reader) {
        let name = joined(&self.name, &other.name);
        if other.gaps() < self.gaps() {
            std::mem::swap(self, &mut other);
        }
        self.name = name;
        self.names.add(&other.names);
        if let (Some(session), Some(closed)) = (&mut self.session, &other.session) {
            session.own.add(&closed.own);
            session.bytes += closed.bytes;
        }
        if let (Ok(server), Ok(Server { access: Some(access), .. })) = (&mut self.server, &other.server) {
            server.access = server.access.map(|own| more_exposed(own, *access));
        }
        self.prepare();
    }

    fn gaps(&self) -> usize {
        let gaps = [self.server.is_err(), self.config.is_err(), self.slowlog.is_err(), self.latency.is_err(), self.clients.is_err()];
        gaps.into_iter().chain([self.commands_gap.is_some(), self.keys_gap.is_some()]).filter(|is_gap| *is_gap).count()
    }

    /// What is to be sampled, by the databases and names that are known now.
    fn prepare(&mut self) {
        let Ok(server) = &self.server else { return };
        let mut sampler = Sampler::new(server.databases.clone(), self.names.clone(), &self.limits);
        if server.maxmemory_policy.as_ref().is_some_and(|p| p.ends_with("-lfu")) {
            sampler.counts_frequency();
        }
        self.sampler = Some(sampler);
        self.queues = Queues::new(server.databases.iter().map(|d| d.index).collect(), self.names.clone());
    }

    pub fn is_open(&self) -> bool {
        self.session.as_ref().is_some_and(|s| !s.is_lost)
    }

    pub fn calls(&self) -> u64 {
        self.session.as_ref().map_or(0, |s| s.own.commands())
    }

    pub fn bytes(&self) -> u64 {
        self.session.as_ref().map_or(0, |s| s.bytes)
    }

    /// The first reading: everything but the key sample.
    pub async fn read_state(&mut self, lane: &Lane) {
        let Some(session) = self.session.as_mut() else { return };
        session.try_as_a_stranger(self.limits.connect_timeout()).await;
        let round_trip_ms = round_trip_ms(session).await;
        lane.reading(format!("{}: INFO", self.name), 1, 7);
        match read_info(session, &SECTIONS).await {
            Ok(info) => {
                let platform = info::platform(&self.host);
                session.counts_object_misses = info::counts_object_misses(&info);
                let server = info::server(&info, platform, round_trip_ms).map(|s| Server { access: Some(session.access), ..s });
                self.server = server.ok_or_else(|| Gap::new(Section::RedisServer, Cause::Unreadable, "INFO lacks fields that every Redis tells."));
                self.before = Reading::of(&info, &session.own);
                self.commands_gap = self.before.as_ref().is_none_or(|r| r.commands.is_none()).then(|| no_command_statistics(session));
                // Of a server that tells half of itself, the keys are read all the same.
                self.sampler = Some(Sampler::new(info.databases(), self.names.clone(), &self.limits));
                self.queues = Queues::new(info.databases().iter().map(|d| d.index).collect(), self.names.clone());
            }
            Err(refusal) => {
                self.server = Err(session.gap(Section::RedisServer, "INFO", "+info", &refusal));
                self.commands_gap = Some(session.gap(Section::RedisCommands, "INFO commandstats", "+info", &refusal));
                self.sampler = sampler_without_info(session, self.database, self.names.clone(), &self.limits).await;
            }
        }
        self.keys_gap = self.sampler.is_none().then(|| Gap::new(Section::RedisKeys, Cause::Unreadable, "The databases in use could not be told."));
        lane.reading(format!("{}: CONFIG, SLOWLOG, LATENCY, CLIENT LIST", self.name), 2, 7);
        self.config = readings::config(session).await;
        self.slowlog = readings::slowlog(session, None).await.map(|log| log.entries);
        self.latency = readings::latency(session).await;
        self.clients = readings::clients(session).await;
        self.fill_in_from_config();
        self.prepare();
        for gap in
            [self.server.as_ref().err(), self.config.as_ref().err(), self.slowlog.as_ref().err(), self.clients.as_ref().err()].into_iter().flatten()
        {
            lane.gap(format!("{}: {}", self.name, gap.detail));
        }
        lane.activity(format!("{} read", self.name));
    }

    /// Figures that old servers tell in CONFIG only, and the platform that hides it.
    fn fill_in_from_config(&mut self) {
        let Ok(server) = &mut self.server else { return };
        match &self.config {
            Ok(config) => {
                server.maxclients = server.maxclients.or_else(|| config.get("maxclients")?.parse().ok());
                server.maxmemory = server.maxmemory.or_else(|| config.get("maxmemory")?.parse().ok());
                server.maxmemory_policy = server.maxmemory_policy.take().or_else(|| config.get("maxmemory-policy").map(str::to_owned));
            }
            // Providers switch CONFIG off altogether; an ACL only forbids it.
            Err(gap) if matches!(gap.cause, Cause::Absent { .. }) && server.platform == "plain" => server.platform = "managed".to_owned(),
            Err(_) => {}
        }
    }

    /// Counters as the window opens. The slowlog's newest id parts what is in the window from what came before.
    pub async fn open_window(&mut self) {
        let Some(session) = self.session.as_mut() else { return };
        if let Ok(info) = read_info(session, &LIVE_SECTIONS).await {
            self.before = Reading::of(&info, &session.own).or(self.before.take());
        }
        if let Ok(log) = readings::slowlog(session, None).await {
            self.slow_before = Some(log.newest);
        }
        self.queues.open(session).await;
        if let Some(sampler) = &mut self.sampler {
            sampler.select_again();
        }
    }

    /// Until the window closes: a live sample at every tick, and the key sample between them.
    pub async fn sample_in_window(&mut self, index: usize, mut ticks: watch::Receiver<Option<f64>>, figures: mpsc::Sender<Figure>, lane: &Lane) {
        let Some(session) = self.session.as_mut() else { return };
        let mut last = self.before.clone();
        loop {
            let is_sampling = self.sampler.as_ref().is_some_and(|s| !s.is_done()) && !session.is_lost;
            // A step is never cut short: answers that nobody waits for would be missing in our own books.
            let has_changed =
                if is_sampling { ticks.has_changed().unwrap_or(true) } else { ticks.changed().await.is_ok() || ticks.borrow().is_none() };
            if has_changed {
                let Some(at_s) = *ticks.borrow_and_update() else { return };
                let mut figure = live_sample(session, index, at_s, &mut last).await;
                figure.is_cache = self.sampler.as_ref().is_some_and(Sampler::shows_cache_alone);
                // The listener lives as long as the window; a figure it no longer takes is not missed.
                let _ = figures.send(figure).await;
            }
            match &mut self.sampler {
                Some(sampler) if is_sampling => {
                    sampler.step(session).await;
                    let met = sampler.take_queues();
                    if !met.is_empty() {
                        self.queues.meet(session, met).await;
                        sampler.select_again();
                    }
                    lane.reading(format!("{}: {} keys sampled", self.name, sampler.sampled()), 6, 7);
                }
                _ => {}
            }
        }
    }

    /// Counters as the window closes, and the logs once more.
    pub async fn close_window(&mut self) {
        let Some(session) = self.session.as_mut() else { return };
        if let Ok(info) = read_info(session, &SECTIONS).await {
            self.after = Reading::of(&info, &session.own);
            if let (Ok(old), Some(new)) = (&mut self.server, info::server(&info, "", 0.0)) {
                *old = Server { platform: old.platform.clone(), round_trip_ms: old.round_trip_ms, access: old.access, ..new };
            }
            self.fill_in_from_config();
        }
        let Some(session) = self.session.as_mut() else { return };
        if let Ok(log) = readings::slowlog(session, self.slow_before).await {
            self.slowlog_lost = self.slow_before.map(|before| log.lost_since(before));
            self.slowlog = Ok(log.entries);
        }
        if let Ok(events) = readings::latency(session).await {
            self.latency = Ok(events);
        }
        if let Ok(clients) = readings::clients(session).await {
            self.clients = Ok(clients);
        }
    }

    /// What is left of the key sample when the window was shorter than the scan.
    pub async fn finish_sample(&mut self, lane: &Lane) {
        let (Some(session), Some(sampler)) = (self.session.as_mut(), self.sampler.as_mut()) else { return };
        while !sampler.is_done() && !lane.is_cancelled() {
            sampler.step(session).await;
            lane.reading(format!("{}: {} keys sampled", self.name, sampler.sampled()), 6, 7);
        }
        self.queues.meet(session, sampler.take_queues()).await;
    }

    /// The queues once more, as late as can be: what they grew by is told over the whole time.
    pub async fn read_queues(&mut self) {
        let Some(session) = self.session.as_mut() else { return };
        (self.queues_read, self.queues_left_out) = std::mem::take(&mut self.queues).close(session).await;
    }

    /// The evidence. Without a second reading the counters have no window.
    pub fn finish(mut self) -> Instance {
        let after = self.after.as_ref().or(self.before.as_ref());
        let pair = self.before.as_ref().zip(self.after.as_ref());
        if let (Ok(server), Some((before, after))) = (&mut self.server, pair) {
            server.counters = info::counters_between(before, after);
        }
        let commands = after.and_then(|a| info::commands_between(pair.map(|(b, _)| b), a));
        let unread = || Gap::new(Section::RedisCommands, Cause::Unreadable, "INFO commandstats is empty on this server.");
        let mut keys: Seen<KeySample> = match (self.sampler.take(), self.keys_gap) {
            (Some(sampler), _) => sampler.finish(),
            (None, gap) => Err(gap.unwrap_or_else(|| Gap::new(Section::RedisKeys, Cause::Unreadable, "The keys were not sampled."))),
        };
        if let (Ok(server), Ok(keys)) = (&self.server, &mut keys) {
            at_most(keys, server.used_memory);
        }
        Instance {
            name: self.name,
            server: self.server,
            config: self.config,
            slowlog: self.slowlog,
            latency: self.latency,
            clients: self.clients,
            commands: commands.ok_or_else(|| self.commands_gap.unwrap_or_else(unread)),
            keys,
            queues: self.queues_read,
            queues_left_out: self.queues_left_out,
            slowlog_lost: self.slowlog_lost,
        }
    }
}

/// No family takes more than all of them together, whatever the sample says of it.
fn at_most(keys: &mut KeySample, used_memory: u64) {
    for p in &mut keys.patterns {
        p.bytes_estimate = p.bytes_estimate.map(|bytes| bytes.min(used_memory));
    }
}

fn no_command_statistics(session: &Session) -> Gap {
    session.gap(Section::RedisCommands, "INFO commandstats", "+info", &Refusal::UnknownCommand)
}

async fn read_info(session: &mut Session, sections: &[&str]) -> Result<Info, Refusal> {
    let answers = session.ask_all(sections.iter().map(|s| command(&["INFO", s])).collect()).await?;
    let mut whole = String::new();
    for answer in answers {
        let answer = answer?;
        // An INFO that is no text has no lines; whatever needs one of them is a gap.
        if let Some(lines) = text(&answer) {
            whole.push_str(&lines);
        }
        whole.push('\n');
    }
    Ok(Info::parse(&whole))
}

/// Median of five PINGs, milliseconds.
async fn round_trip_ms(session: &mut Session) -> f64 {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let start = Instant::now();
        // A refused PING is as quick as a granted one.
        let _ = session.ask(&["PING"]).await;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times[PINGS / 2]
}

/// Where INFO is refused, the database of the profile is all that is known to be in use.
async fn sampler_without_info(session: &mut Session, database: u32, names: Names, limits: &Limits) -> Option<Sampler> {
    let keys = session.ask(&["DBSIZE"]).await.ok().as_ref().and_then(integer).and_then(|n| u64::try_from(n).ok())?;
    Some(Sampler::new(vec![LogicalDatabase { index: database, keys, keys_with_ttl: 0, average_ttl_ms: 0 }], names, limits))
}

/// One live sample; a failed one is a gap in the line, never a zero.
async fn live_sample(session: &mut Session, index: usize, at_s: f64, last: &mut Option<Reading>) -> Figure {
    let now = match read_info(session, &LIVE_SECTIONS).await {
        Ok(info) => Reading::of(&info, &session.own),
        Err(_) => None,
    };
    let figure = match (&*last, &now) {
        (Some(before), Some(after)) => Figure::between(index, at_s, before, after),
        _ => Figure::missing(index, at_s),
    };
    if now.is_some() {
        *last = now;
    }
    figure
}

#[cfg(test)]
mod tests {
    use super::super::session::Own;
    use super::*;

    const DRAWN: &str = "0123456789abcdef0123456789abcdef01234567";

    fn reader(address: &str, run_id: &str) -> Reader {
        let text = format!(
            "redis_version:7.0.15\nrun_id:{run_id}\nuptime_in_seconds:9\nused_memory:1\nconnected_clients:1\nblocked_clients:0\n\
             total_commands_processed:1\nkeyspace_hits:0\nkeyspace_misses:0\nexpired_keys:0\nevicted_keys:0\nrejected_connections:0\n\
             total_connections_received:1\ntotal_net_input_bytes:1\ntotal_net_output_bytes:1\ndb1:keys=3,expires=0,avg_ttl=0"
        );
        let info = Info::parse(&text);
        let (profile, _) = crate::connect::profile::parse_redis(address).unwrap();
        let mut reader = Reader::lost(&profile, Gap::new(Section::Redis, Cause::Unreadable, "Not read."));
        (reader.server, reader.before) = (Ok(info::server(&info, "plain", 0.1).unwrap()), Reading::of(&info, &Own::default()));
        reader
    }

    #[test]
    fn without_info_each_database_is_read_by_its_own_address() {
        let mut refused = reader("redis://a.example:6379/0", DRAWN);
        assert_eq!(refused.identity().as_deref(), Some(DRAWN));
        refused.before = None;
        assert_eq!(refused.identity(), None);
    }

    #[test]
    fn the_session_that_sees_more_reads_on() {
        let mut narrow = reader("redis://a.example:6379/0", DRAWN);
        let mut wide = reader("redis://a.example:6379/1?roles=acme:=cache", DRAWN);
        wide.config = Ok(Config { values: Vec::new() });
        narrow.absorb(wide);
        assert_eq!(narrow.name, "a.example:6379/0,1");
        assert!(narrow.config.is_ok());
        assert_eq!(super::super::pattern::reduce("acme:7", &narrow.names).role, crate::evidence::redis::Role::CustomCache);
        assert!(narrow.sampler.is_some());
    }
}
