//! Faults of the Redis server itself made on a real one: each is created, named by the audit, put right with the printed remedy, and gone.
//!
//! Needs `redis-server` and `redis-cli` on the PATH (or `ADVISOR_TEST_REDIS_SERVER`); prints "skipped" without them.
//!
//! Not to be made here, and so tried on made evidence alone (`tests/checks_redis_server.rs`): the end of support of a version that is not
//! installed, a server at a private or public address, swapping, and the settings of managed services.

use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Server, audit, command, fill, findings, outcome, remedy};
use medusa_advisor::checks;
use medusa_advisor::evidence::{Cause, Snapshot};
use medusa_advisor::finding::{Finding, Outcome, RemedyKind, Severity};

const ULID: &str = "01M8469SSQJ16F56J2S24NK90Y";
const MIB: u64 = 1 << 20;
const IDS: [&str; 14] = [
    "redis-cache-cannot-evict",
    "redis-maxmemory-unset",
    "redis-fragmentation",
    "redis-clients-near-limit",
    "redis-rejected-connections",
    "redis-persistence-failing",
    "redis-queue-not-durable",
    "redis-sessions-volatile",
    "redis-expiry-lag",
    "redis-replica-lag",
    "redis-version-eol",
    "redis-open-access",
    "redis-latency-spikes",
    "redis-slow-commands",
];
/// Some tenths of a second in which nobody else is answered.
const BUSY: &str = "local x = 0 for i = 1, 60000000 do x = x + i end return 1";

macro_rules! server {
    ($($argument:expr),*) => {
        match Server::start(&[$($argument),*]) {
            Some(server) => server,
            None => {
                println!("skipped: no redis-server here");
                return;
            }
        }
    };
}

async fn quiet(server: &Server) -> Snapshot {
    audit(server, |_: &Server| ()).await
}

fn one(snapshot: &Snapshot, id: &str) -> Finding {
    let mut found = findings(snapshot, id);
    assert_eq!(found.len(), 1, "{id}: {:?}", outcome(snapshot, id));
    found.remove(0)
}

/// Runs every printed Redis remedy in its order; each must be accepted.
fn apply(server: &Server, finding: &Finding) {
    for remedy in finding.remedies.iter().filter(|r| r.kind == RemedyKind::Redis) {
        let said = server.cli(&remedy.text);
        assert!(!said.contains("ERR"), "{}: {said}", remedy.text);
    }
}

/// The remedy of an `Unknown`.
fn gap_remedy(snapshot: &Snapshot, id: &str) -> String {
    match outcome(snapshot, id) {
        Outcome::Unknown(gap) => gap.cause.remedy().unwrap_or_else(|| panic!("{gap:?}")).to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_stores_and_idle_servers_stay_quiet() {
    let default = ["--save", "3600 1 300 100 60 10000"];
    let (idle, bare, stock) = (server!(default[0], default[1]), server!(), server!(default[0], default[1]));
    let kept_nowhere = server!();
    crate::harness::write_stock(&stock, ULID);
    crate::harness::write_stock(&kept_nowhere, ULID);
    let shop = |server: &Server| {
        fill(server, (0..2_000).map(|i| command(&["HGET", &format!("mc:{:016x}", i % 300), "data"])));
        fill(server, (0..200).map(|i| command(&["SET", &format!("medusa_lock:cart_{ULID}{}", i % 9), "owner", "EX", "30"])));
    };
    for (name, server) in [("idle", &idle), ("bare", &bare), ("stock", &stock), ("kept nowhere", &kept_nowhere)] {
        let snapshot = if name.len() == 4 { quiet(server).await } else { audit(server, shop).await };
        for id in IDS {
            let outcome = outcome(&snapshot, id);
            if let Outcome::Failed(found) = &outcome {
                assert!(found.iter().all(|f| f.severity == Severity::Info), "{name}, {id}: {found:?}");
                println!("{name}, {id}: {}", found[0].observed);
            }
            // The monitor of latency is off by default: that is all that may be unknown.
            assert!(!matches!(outcome, Outcome::Unknown(_)) || id == "redis-latency-spikes", "{name}, {id}: {outcome:?}");
        }
        assert_eq!(outcome(&snapshot, "redis-open-access"), Outcome::Passed, "{name}: reached on the same machine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_may_not_evict_is_named_and_may_afterwards() {
    let server = server!("--maxmemory", "16mb", "--maxmemory-policy", "noeviction");
    let mut i = 0;
    while server.used_memory() < 16 * MIB * 85 / 100 {
        fill(&server, (i..i + 20).map(|i| command(&["SET", &format!("cache:page:{i}"), &"x".repeat(9_000), "EX", "600"])));
        i += 20;
    }
    let found = one(&quiet(&server).await, "redis-cache-cannot-evict");
    assert!(found.severity >= Severity::Medium, "{found:?}");
    apply(&server, &found);
    let snapshot = quiet(&server).await;
    assert_eq!(outcome(&snapshot, "redis-cache-cannot-evict"), Outcome::Passed);
    fill(&server, (0..2_000).map(|i| command(&["SET", &format!("cache:later:{i}"), &"x".repeat(9_000), "EX", "600"])));
    assert!(server.cli("GET cache:later:1999").len() > 9_000, "the newest is there and older ones made room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_without_a_limit_is_named_and_limited() {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free_kib = meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    if free_kib.is_none_or(|kib| kib < 4 * 1_024 * 1_024) {
        println!("skipped: less than 4 GiB of memory are free");
        return;
    }
    let server = server!();
    assert_eq!(outcome(&quiet(&server).await, "redis-maxmemory-unset"), Outcome::Passed, "an empty server needs no limit");
    // In pieces: one of a gigabyte would hold the server up for as long as the audit waits for an answer.
    for i in 0..12 {
        fill(&server, [command(&["SETRANGE", &format!("cache:page:{i}"), "100000000", "x"])]);
    }
    let found = one(&quiet(&server).await, "redis-maxmemory-unset");
    apply(&server, &found);
    assert_eq!(outcome(&quiet(&server).await, "redis-maxmemory-unset"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_between_keys_are_named_and_gone_after_a_restart() {
    let server = server!();
    let key = |i: usize| format!("cache:page:{i}");
    let value = "x".repeat(900);
    fill(&server, (0..400_000).map(|i| command(&["SET", &key(i), &value])));
    // One of four stays on every page of the allocator.
    fill(&server, (0..400_000).filter(|i| i % 4 != 0).map(|i| command(&["UNLINK", &key(i)])));
    let found = one(&quiet(&server).await, "redis-fragmentation");
    assert!(found.observed.contains("holes between keys"), "{}", found.observed);
    let texts: Vec<&str> = found.remedies.iter().map(|r| r.text.as_str()).collect();
    assert_eq!(texts, ["MEMORY PURGE", "CONFIG SET activedefrag yes", "SHUTDOWN SAVE"]);
    assert_eq!(server.cli(texts[0]).trim(), "OK");
    // Debian's build refuses it, as the remedy says.
    let said = server.cli(texts[1]);
    assert!(said.trim() == "OK" || said.contains("Jemalloc"), "{said}");
    server.cli(texts[2]);
    let server = server.start_again(&[]).expect("it starts again with its data");
    server.wait_for("loading", |v| v == "0");
    assert_eq!(server.cli("DBSIZE").trim(), "100000");
    assert_eq!(outcome(&quiet(&server).await, "redis-fragmentation"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_near_their_limit_are_named_and_given_room() {
    let server = server!("--maxclients", "20");
    let open: Vec<redis::Connection> = (0..16).map(|_| server.connect_named("store")).collect();
    let found = one(&quiet(&server).await, "redis-clients-near-limit");
    assert!(found.observed.contains("17 of 20"), "{}", found.observed);
    assert!(format!("{:?}", found.evidence).contains("store"), "who holds them is told: {found:?}");
    apply(&server, &found);
    assert_eq!(outcome(&quiet(&server).await, "redis-clients-near-limit"), Outcome::Passed);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_turned_away_are_named_and_let_in() {
    let server = server!("--maxclients", "5");
    let burst = |server: &Server| {
        let open: Vec<TcpStream> = (0..7).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
        std::thread::sleep(Duration::from_millis(300));
        drop(open);
    };
    let found = one(&audit(&server, burst).await, "redis-rejected-connections");
    assert!(found.severity >= Severity::Medium && found.observed.starts_with("3"), "{found:?}");
    assert_eq!(server.cli(&remedy(&found, RemedyKind::Redis).text).trim(), "OK");
    let after = one(&audit(&server, burst).await, "redis-rejected-connections");
    assert_eq!(after.severity, Severity::Info, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_written_is_named_until_it_can() {
    let server = server!();
    server.cli("SET a 1");
    // A folder where the file should be: not even root may replace it.
    let in_the_way = server.dir().join("dump.rdb");
    std::fs::create_dir(&in_the_way).unwrap();
    server.cli("BGSAVE");
    server.wait_for("rdb_last_bgsave_status", |v| v == "err");
    let found = one(&quiet(&server).await, "redis-persistence-failing");
    assert_eq!(found.severity, Severity::High);
    std::fs::remove_dir(&in_the_way).unwrap();
    apply(&server, &found);
    server.wait_for("rdb_last_bgsave_status", |v| v == "ok");
    assert_eq!(outcome(&quiet(&server).await, "redis-persistence-failing"), Outcome::Passed);
}

/// A queue of Medusa's with jobs that wait.
fn write_jobs(server: &Server, jobs: usize) {
    fill(server, [command(&["HSET", "bull:medusa-workflows:meta", "opts", "{}"])]);
    fill(server, (0..jobs).map(|i| command(&["LPUSH", "bull:medusa-workflows:wait", &i.to_string()])));
    fill(server, (0..jobs).map(|i| command(&["HSET", &format!("bull:medusa-workflows:{i}"), "data", "{}"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_a_restart_forgets_are_named_and_kept() {
    let server = server!();
    write_jobs(&server, 150);
    let found = one(&quiet(&server).await, "redis-queue-not-durable");
    assert!(found.severity == Severity::Medium && found.observed.contains("150"), "{found:?}");
    assert_eq!(server.cli(&found.remedies[0].text).trim(), "OK");
    server.wait_for("aof_rewrite_in_progress", |v| v == "0");
    assert_eq!(outcome(&quiet(&server).await, "redis-queue-not-durable"), Outcome::Passed);
    server.cli("CONFIG SET appendfsync always");
    let found = one(&quiet(&server).await, "redis-queue-not-durable");
    assert_eq!(found.severity, Severity::Low, "{found:?}");
    apply(&server, &found);
    assert_eq!(outcome(&quiet(&server).await, "redis-queue-not-durable"), Outcome::Passed);
    let second = server!();
    write_jobs(&second, 150);
    let found = one(&quiet(&second).await, "redis-queue-not-durable");
    assert_eq!(second.cli(&found.remedies[1].text).trim(), "OK", "snapshots are the other way");
    assert_eq!(outcome(&quiet(&second).await, "redis-queue-not-durable"), Outcome::Passed);
}

fn write_sessions(server: &Server, from: usize, count: usize, size: usize) {
    let value = "x".repeat(size);
    let key = |i: usize| format!("sess:{i:0>12}UkchYwOsiIKO85jIep7i");
    fill(server, (from..from + count).map(|i| command(&["SET", &key(i), &value, "EX", "36000"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_a_restart_forgets_are_named_and_kept() {
    let server = server!();
    write_sessions(&server, 0, 1_200, 250);
    let found = one(&quiet(&server).await, "redis-sessions-volatile");
    assert!(found.severity == Severity::Low && found.observed.contains("logs everybody out"), "{found:?}");
    apply(&server, &found);
    assert_eq!(outcome(&quiet(&server).await, "redis-sessions-volatile"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_under_an_evicting_policy_are_named_and_kept() {
    let server = server!("--maxmemory", "16mb", "--maxmemory-policy", "volatile-lru", "--appendonly", "yes");
    let mut written = 0;
    while server.used_memory() < 16 * MIB * 94 / 100 {
        write_sessions(&server, written, 20, 9_000);
        written += 20;
    }
    let found = one(&quiet(&server).await, "redis-sessions-volatile");
    assert!(found.observed.contains("thrown away"), "{}", found.observed);
    apply(&server, &found);
    assert_eq!(outcome(&quiet(&server).await, "redis-sessions-volatile"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_that_pile_up_are_named_and_removed() {
    let Some(server) = Server::start_with_debug(&[]) else {
        println!("skipped: no redis-server here");
        return;
    };
    let stale = |value: &str| value.parse::<f64>().unwrap_or(0.0);
    assert_eq!(server.cli("DEBUG SET-ACTIVE-EXPIRE 0").trim(), "OK");
    fill(&server, (0..400_000).map(|i| command(&["SET", &format!("cache:page:{i}"), "x", "PX", "1"])));
    // Long enough for the server's estimate to rise, and stopped while most are still there.
    server.cli("DEBUG SET-ACTIVE-EXPIRE 1");
    server.wait_for("expired_stale_perc", |v| stale(v) > 30.0);
    server.cli("DEBUG SET-ACTIVE-EXPIRE 0");
    let found = one(&quiet(&server).await, "redis-expiry-lag");
    assert!(found.severity > Severity::Info, "{found:?}");
    apply(&server, &found);
    server.cli("DEBUG SET-ACTIVE-EXPIRE 1");
    server.wait_for("expired_stale_perc", |v| stale(v) < 10.0);
    assert_eq!(outcome(&quiet(&server).await, "redis-expiry-lag"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_its_master_is_named_until_the_master_is_back() {
    let port = crate::harness::free_port();
    let replica = server!("--replicaof", "127.0.0.1", &port.to_string());
    let found = one(&quiet(&replica).await, "redis-replica-lag");
    assert!(found.severity == Severity::Low && found.observed.contains("link to the master is down"), "{found:?}");
    apply(&replica, &found);
    let master = Server::start_at(port, &[]).unwrap();
    replica.wait_for("master_link_status", |v| v == "up");
    assert_eq!(outcome(&quiet(&replica).await, "redis-replica-lag"), Outcome::Passed);
    assert_eq!(outcome(&quiet(&master).await, "redis-replica-lag"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_falls_behind_is_named_on_its_master() {
    let master = server!();
    assert!(matches!(outcome(&quiet(&master).await, "redis-replica-lag"), Outcome::NotApplicable(_)));
    let replica = server!("--replicaof", "127.0.0.1", &master.port.to_string());
    replica.wait_for("master_link_status", |v| v == "up");
    replica.signal("STOP");
    fill(&master, (0..40).map(|i| command(&["SET", &format!("cache:page:{i}"), &"x".repeat(1_000_000)])));
    let snapshot = quiet(&master).await;
    replica.signal("CONT");
    let found = one(&snapshot, "redis-replica-lag");
    assert!(found.severity == Severity::Medium && found.observed.contains("slowest replica"), "{found:?}");
    apply(&master, &found);
    let written = master.info("master_repl_offset");
    replica.wait_for("slave_repl_offset", |v| v.parse::<u64>().unwrap_or(0) >= written.parse().unwrap());
    // The master learns of it with the next acknowledgement, once a second.
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(outcome(&quiet(&master).await, "redis-replica-lag"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_named_with_its_command_once_the_monitor_is_on() {
    let server = server!();
    assert_eq!(server.cli(&gap_remedy(&quiet(&server).await, "redis-latency-spikes")).trim(), "OK");
    assert_eq!(outcome(&quiet(&server).await, "redis-latency-spikes"), Outcome::Passed);
    fill(&server, [command(&["EVAL", BUSY, "0"])]);
    let found = one(&quiet(&server).await, "redis-latency-spikes");
    assert!(found.severity > Severity::Info && found.observed.contains("The slow log names EVAL"), "{found:?}");
    apply(&server, &found);
    let (reset, _) = found.verify.split_once(',').unwrap();
    assert_eq!(server.cli(reset).trim().trim_start_matches("(integer) "), "1", "{reset}");
    assert_eq!(outcome(&quiet(&server).await, "redis-latency-spikes"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_script_is_named_and_gone_when_nobody_sends_it() {
    let server = server!();
    let snapshot = audit(&server, |server: &Server| fill(server, [command(&["EVAL", BUSY, "0"])])).await;
    let found = one(&snapshot, "redis-slow-commands");
    assert!(found.severity >= Severity::Medium && found.subject.name.starts_with("EVAL on "), "{found:?}");
    assert_eq!(outcome(&quiet(&server).await, "redis-slow-commands"), Outcome::Passed);
    server.cli("CONFIG SET slowlog-log-slower-than -1");
    let snapshot = quiet(&server).await;
    assert_eq!(server.cli(&gap_remedy(&snapshot, "redis-slow-commands")).trim(), "OK");
    assert_eq!(outcome(&quiet(&server).await, "redis-slow-commands"), Outcome::Passed);
}

/// Three slow scripts, and then as many quick commands as push them out of a log of 128.
fn slow_then_quick(server: &Server) {
    fill(server, (0..3).map(|_| command(&["EVAL", BUSY, "0"])));
    fill(server, (0..300).map(|_| command(&["GET", "x"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_commands_that_were_pushed_out_of_the_log_are_no_pass() {
    let server = server!("--slowlog-log-slower-than", "0");
    let snapshot = audit(&server, slow_then_quick).await;
    assert_eq!(server.cli(&gap_remedy(&snapshot, "redis-slow-commands")).trim(), "OK");
    let found = one(&audit(&server, slow_then_quick).await, "redis-slow-commands");
    assert!(found.subject.name.starts_with("EVAL on ") && found.observed.starts_with("3\u{a0}slow calls"), "{found:?}");
    // Emptied in the window by another tool.
    let emptied = audit(&server, |server: &Server| {
        fill(server, [command(&["EVAL", BUSY, "0"]), command(&["SLOWLOG", "RESET"])]);
    });
    assert_eq!(server.cli(&gap_remedy(&emptied.await, "redis-slow-commands")).trim(), "OK");
    assert_eq!(server.cli("CONFIG GET slowlog-max-len").lines().nth(1), Some("1024"));
    // A log that is longer than an audit used to read is read whole.
    server.cli("CONFIG SET slowlog-log-slower-than 0");
    let found = one(&audit(&server, slow_then_quick).await, "redis-slow-commands");
    assert!(found.observed.starts_with("3\u{a0}slow calls"), "{}", found.observed);
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_that_were_reset_in_the_window_say_nothing_of_it() {
    let server = server!();
    crate::harness::write_stock(&server, ULID);
    fill(&server, (0..3_000).map(|_| command(&["GET", "x"])));
    let walk = |server: &Server| fill(server, (0..300).flat_map(|_| [command(&["KEYS", "none:*"]), command(&["FLUSHDB"])]));
    let reset = audit(&server, |server: &Server| {
        server.cli("CONFIG RESETSTAT");
        walk(server);
    });
    match outcome(&reset.await, "redis-keys-command") {
        Outcome::Unknown(gap) => {
            assert!(
                gap.detail.contains("300\u{a0}calls of FLUSHDB, 300\u{a0}calls of KEYS") && matches!(gap.cause, Cause::TooYoung { .. }),
                "{gap:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    let found = findings(&audit(&server, walk).await, "redis-keys-command");
    assert_eq!(found.len(), 2, "{found:?}");
}

/// Ended with the test, by its own handle.
struct Listener(std::process::Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_listens_to_the_stream_is_no_replica() {
    let server = server!();
    let mut tool = std::process::Command::new("redis-cli");
    tool.args(["-p", &server.port.to_string(), "--replica"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let _listener = Listener(tool.spawn().unwrap());
    server.wait_for("slave0", |v| v.contains("state=online"));
    fill(&server, (0..20).map(|i| command(&["SET", &format!("cache:page:{i}"), &"x".repeat(1_000_000)])));
    let snapshot = quiet(&server).await;
    assert!(matches!(outcome(&snapshot, "redis-replica-lag"), Outcome::NotApplicable(_)), "{:?}", outcome(&snapshot, "redis-replica-lag"));
    // Beside it a real one.
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port.to_string()]).unwrap();
    replica.wait_for("master_link_status", |v| v == "up");
    assert_eq!(outcome(&quiet(&server).await, "redis-replica-lag"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_found_by_its_jobs() {
    let server = server!();
    write_sessions(&server, 0, 12_000, 100);
    fill(&server, [command(&["HSET", "bull:mails:meta", "opts", "{}"])]);
    let ids: Vec<String> = (0..2_000).map(|i| i.to_string()).collect();
    fill(&server, ids.iter().flat_map(|i| [command(&["LPUSH", "bull:mails:wait", i]), command(&["HSET", &format!("bull:mails:{i}"), "data", "{}"])]));
    let limits = medusa_advisor::connect::profile::Limits { redis_keys_max: 500, ..Default::default() };
    let snapshot = crate::harness::audit_limited(&[crate::harness::profile(&server)], &Default::default(), 2, &limits, || ()).await;
    let instance = &snapshot.redis.as_ref().unwrap().instances[0];
    assert!(!instance.keys().unwrap().is_complete);
    let read: Vec<(&str, u64)> = instance.queues().unwrap().iter().map(|q| (q.name.as_str(), q.waiting())).collect();
    assert_eq!(read, [("bull:mails", 2_000)]);
    assert!(one(&snapshot, "redis-no-worker").observed.starts_with("2,000\u{a0}jobs wait in bull:mails"));
    assert_eq!(outcome(&snapshot, "redis-jobs-retained"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_found_among_many_databases_and_their_limit_is_told() {
    let server = server!("--databases", "64");
    let select = |database: usize| command(&["SELECT", &database.to_string()]);
    fill(&server, (0..14).flat_map(|d| [select(d), command(&["SET", &format!("page:{d}"), "x"])]));
    let wait = |queue: &str| -> Vec<redis::Cmd> { (0..200).map(|i| command(&["LPUSH", &format!("{queue}:wait"), &i.to_string()])).collect() };
    fill(&server, wait("bull:mails"));
    fill(&server, std::iter::once(select(13)).chain(wait("RedisEventBusService:events-queue")));
    let snapshot = quiet(&server).await;
    let found = findings(&snapshot, "redis-no-worker");
    assert_eq!(found.len(), 2, "{:?}", outcome(&snapshot, "redis-no-worker"));
    // Attended queues in plenty: nothing is wrong with those that were read.
    let attended = |i: usize| [command(&["HSET", &format!("bull:queue{i}:meta"), "opts", "{}"]), command(&["DEL", "bull:mails:wait"])];
    fill(&server, (0..60).flat_map(attended));
    fill(&server, [select(13), command(&["DEL", "RedisEventBusService:events-queue:wait"])]);
    let snapshot = quiet(&server).await;
    assert_eq!(snapshot.redis.as_ref().unwrap().instances[0].queues_left_out, 10);
    for id in ["redis-no-worker", "redis-job-backlog", "redis-jobs-retained"] {
        assert!(matches!(outcome(&snapshot, id), Outcome::Unknown(_)), "{id}: {:?}", outcome(&snapshot, id));
    }
}

/// The user that the connection page tells to create can answer every one of these checks; one without CONFIG is told what to allow.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_config_leaves_unknowns_with_the_grant() {
    let server = server!();
    crate::harness::write_stock(&server, ULID);
    server.cli("ACL SETUSER narrow on >secret ~* -@all +ping +select +info +dbsize +slowlog|get +latency|latest +scan +type +pttl +memory|usage +client|setname +client|list");
    let mut profile = crate::harness::profile(&server);
    profile.user = "narrow".into();
    let password = medusa_advisor::secret::Secret::new("secret".to_owned());
    let snapshot = crate::harness::audit_with(&[profile], &[Some(password)], 1, || ()).await;
    for id in ["redis-queue-not-durable", "redis-latency-spikes", "redis-slow-commands"] {
        match checks::find(id).unwrap().run(&snapshot) {
            Outcome::Unknown(gap) => assert!(matches!(gap.cause, Cause::Denied { ref grant } if grant.contains("+config|get")), "{id}: {gap:?}"),
            other => panic!("{id}: {other:?}"),
        }
    }
}
