//! Servers in trouble: connections that end, answers that are late or never come, data still loading, half of the commands denied, and
//! ports that speak something else. Each audit ends in time, keeps what it has read and says what it lacks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Server, audit_limited, audit_with, command, fill, outcome, profile, write_stock};
use medusa_advisor::connect::profile::{Limits, RedisProfile, Secrets};
use medusa_advisor::evidence::redis::Instance;
use medusa_advisor::evidence::{Cause, Section, Snapshot};
use medusa_advisor::finding::Outcome;

const ULID: &str = "01JD0000000000000000000000";
/// Connecting may take a second; the window is one more.
fn limits() -> Limits {
    Limits { probe_timeout_s: 1, redis_scan_s_max: 3, ..Limits::default() }
}

macro_rules! server {
    ($($argument:expr),*) => {
        server!(in Server::start(&[$($argument),*]))
    };
    (in $started:expr) => {
        match $started {
            Some(server) => server,
            None => {
                println!("skipped: no redis-server here");
                return;
            }
        }
    };
}

/// Answers each connection on a thread of its own; the port lives as long as the test.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Between the audit and a real server: passes everything on, each answer `delay` late, and ends after `answered_max` bytes of answers.
fn proxy(server: &Server, delay: Duration, answered_max: usize) -> u16 {
    let upstream = server.port;
    listen(move |mut down| {
        let Ok(mut up) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
        let (mut asked, mut forward) = (down.try_clone().unwrap(), up.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut asked, &mut forward);
        });
        let mut answered = 0;
        let mut buffer = [0; 16_384];
        while let Ok(n) = up.read(&mut buffer) {
            std::thread::sleep(delay);
            let n = n.min(answered_max - answered);
            answered += n;
            if n == 0 || down.write_all(&buffer[..n]).is_err() || answered == answered_max {
                break;
            }
        }
        let _ = down.shutdown(std::net::Shutdown::Both);
    })
}

async fn audited(port: u16) -> (Snapshot, Duration) {
    let start = Instant::now();
    let snapshot = audit_limited(&[RedisProfile::at("127.0.0.1", port)], &Secrets::default(), 1, &limits(), || ()).await;
    (snapshot, start.elapsed())
}

fn instance(snapshot: &Snapshot) -> &Instance {
    &snapshot.redis.as_ref().unwrap().instances[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_keeps_what_was_read() {
    let server = server!();
    write_stock(&server, ULID);
    let (whole, _) = audited(proxy(&server, Duration::ZERO, usize::MAX)).await;
    assert_eq!(instance(&whole).gaps(), []);
    // In the first INFO, among the settings, in the sample, near its end: always an audit, and never a pass for what was not seen.
    let mut seen_server = false;
    for answered in [0, 40, 900, 9_000, 12_000, 30_000, 60_000] {
        let (cut, took) = audited(proxy(&server, Duration::ZERO, answered)).await;
        assert!(took < Duration::from_secs(8), "{answered} bytes: {took:?}");
        match &cut.redis {
            Err(gap) => assert_eq!((gap.section, &gap.cause), (Section::Redis, &Cause::Unreachable), "{answered} bytes: {gap:?}"),
            Ok(redis) => {
                let instance = &redis.instances[0];
                seen_server |= instance.server().is_ok();
                let partial = instance.keys().is_ok_and(|k| !k.is_complete && k.ended_by.is_some());
                assert!(partial || !instance.gaps().is_empty(), "{answered} bytes: nothing says that the connection ended: {instance:?}");
                for gap in instance.gaps() {
                    assert!(matches!(gap.cause, Cause::Unreachable | Cause::Unreadable), "{answered} bytes: {gap:?}");
                }
            }
        }
    }
    assert!(seen_server, "one of the cuts comes after the first reading");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answers_are_waited_for() {
    let server = server!();
    write_stock(&server, ULID);
    let (snapshot, took) = audited(proxy(&server, Duration::from_millis(150), usize::MAX)).await;
    let instance = instance(&snapshot);
    assert_eq!(instance.gaps(), []);
    assert!(instance.server().unwrap().round_trip_ms >= 150.0);
    assert!(took < Duration::from_secs(20), "{took:?}");
    // The scan keeps to its seconds, and says so where they bite.
    let keys = instance.keys().unwrap();
    assert!(keys.is_complete || keys.ended_by.as_deref() == Some("seconds"), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_the_scan_never_comes_to_is_no_pass() {
    let server = server!("--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru");
    fill(&server, (0..20_000).map(|i| command(&["HSET", &format!("mc:{i:016x}"), "data", "{}", "options", "{}"])));
    let in_one = |commands: Vec<redis::Cmd>| fill(&server, std::iter::once(command(&["SELECT", "1"])).chain(commands));
    let session = |i: usize| command(&["SET", &format!("sess:{i:0>12}UkchYwOsiIKO85jIep7i"), "{}", "EX", "36000"]);
    in_one((0..300).map(session).collect());
    in_one(vec![command(&["HSET", "bull:mails:meta", "opts", "{}"]), command(&["LPUSH", "bull:mails:wait", "1", "2"])]);
    let slow = || audited(proxy(&server, Duration::from_millis(40), usize::MAX));
    let (snapshot, _) = slow().await;
    let keys = instance(&snapshot).keys().unwrap();
    assert_eq!(keys.ended_by.as_deref(), Some("seconds"));
    assert!(keys.databases[0].sampled > 0 && keys.databases[1].sampled == 0, "{:?}", keys.databases);
    let unknown = ["redis-eviction-breaks-queues", "redis-queue-not-durable", "redis-sessions-volatile", "redis-no-worker", "redis-low-hit-rate"];
    for id in unknown {
        assert!(matches!(outcome(&snapshot, id), Outcome::Unknown(_)), "{id}: {:?}", outcome(&snapshot, id));
    }
    // Medusa's own queues are looked up by name before the scan.
    let events = "RedisEventBusService:events-queue";
    in_one(vec![command(&["HSET", &format!("{events}:meta"), "opts", "{}"]), command(&["LPUSH", &format!("{events}:wait"), "1", "2"])]);
    let (snapshot, _) = slow().await;
    assert_eq!(instance(&snapshot).keys().unwrap().databases[1].sampled, 0);
    for id in ["redis-eviction-breaks-queues", "redis-queue-not-durable"] {
        assert!(matches!(outcome(&snapshot, id), Outcome::Failed(_)), "{id}: {:?}", outcome(&snapshot, id));
    }
    assert!(matches!(outcome(&snapshot, "redis-sessions-volatile"), Outcome::Unknown(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_in_the_window_leaves_its_first_reading() {
    let server = server!(in Server::start_with_debug(&[]));
    write_stock(&server, ULID);
    fill(&server, (0..5_000).map(|i| command(&["SET", &format!("product:{i}"), "x", "EX", "600"])));
    let start = Instant::now();
    let sleeper = &server;
    // Longer than an answer may take, and than the run.
    let snapshot = audit_limited(&[profile(&server)], &Secrets::default(), 1, &Limits { redis_commands_per_s: 1_000, ..limits() }, || {
        let mut asleep = TcpStream::connect(("127.0.0.1", sleeper.port)).unwrap();
        asleep.write_all(b"DEBUG SLEEP 12\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(300));
    })
    .await;
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    let instance = instance(&snapshot);
    let told = instance.server().unwrap();
    assert_eq!((told.role.as_str(), told.counters.window), ("master", None), "no second reading, no window");
    let keys = instance.keys().unwrap();
    assert!(!keys.is_complete && keys.ended_by.is_some(), "{keys:?}");
    assert!(instance.queues().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loads_its_data_is_said_to() {
    // It answers after every two million bytes that it has loaded, here a tenth of a second, and loads for five.
    let server = server!(in Server::start_with_debug(&["--key-load-delay", "2000", "--rdbcompression", "no"]));
    fill(&server, (0..2_500).map(|i| command(&["SET", &format!("mc:{i:016x}"), &"x".repeat(40_000), "EX", "600"])));
    let loading = &server;
    let mut reload = TcpStream::connect(("127.0.0.1", loading.port)).unwrap();
    reload.write_all(b"DEBUG RELOAD\r\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !loading.cli("PING").contains("LOADING") {
        assert!(Instant::now() < deadline, "the server never said that it loads");
    }
    let (snapshot, took) = audited(server.port).await;
    let gap = snapshot.redis.unwrap_err();
    assert_eq!((gap.section, &gap.cause), (Section::Redis, &Cause::Unreachable));
    assert!(gap.detail.contains("still loading"), "{gap:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_denies_half_of_its_commands_is_read_by_the_other_half() {
    let denied = ["CONFIG", "SLOWLOG", "LATENCY", "CLIENT", "MEMORY", "OBJECT"];
    let renamed: Vec<&str> = denied.iter().flat_map(|name| ["--rename-command", name, "hidden"]).collect();
    // One name cannot be given to several commands: each is switched off.
    let renamed: Vec<&str> = renamed.iter().map(|word| if *word == "hidden" { "" } else { *word }).collect();
    let Some(server) = Server::start(&renamed) else {
        println!("skipped: no redis-server here");
        return;
    };
    write_stock(&server, ULID);
    let snapshot = audit_with(&[profile(&server)], &[None], 1, || ()).await;
    let instance = instance(&snapshot);
    let sections: Vec<Section> = instance.gaps().iter().map(|g| g.section).collect();
    assert_eq!(sections, [Section::RedisConfig, Section::RedisSlowlog, Section::RedisLatency, Section::RedisClients]);
    assert!(instance.gaps().iter().all(|g| matches!(g.cause, Cause::Absent { .. })), "{:?}", instance.gaps());
    let keys = instance.keys().unwrap();
    assert!(keys.is_complete && keys.patterns.iter().all(|p| p.bytes_estimate.is_none() && p.idle_s_median.is_none()));
    assert_eq!(instance.server().unwrap().platform, "managed", "providers switch CONFIG off");
    // Every check ends in a verdict or in a gap; none of them passes on what was denied.
    let plan = medusa_advisor::plan::build(&snapshot, &[], |check| check.layer == medusa_advisor::evidence::Layer::Redis);
    for id in ["redis-queue-not-durable", "redis-latency-spikes", "redis-slow-commands"] {
        assert!(plan.unknown.iter().any(|(check, _)| check.id == id), "{id} is not unknown: {:?}", plan.unknown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_speak_something_else_end_in_a_gap() {
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let silent = listen(move |stream| {
        count.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(30));
        drop(stream);
    });
    let http = listen(|mut stream| {
        let _ = stream.read(&mut [0; 1_024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    });
    let endless = listen(|mut stream| while stream.write_all(&[b'x'; 65_536]).is_ok() {});
    // A text of half a gigabyte is announced and drips in.
    let huge = listen(|mut stream| {
        let _ = stream.write_all(b"$536870912\r\n");
        while stream.write_all(&[b'x'; 64]).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let nested = listen(|mut stream| while stream.write_all(&b"*1\r\n".repeat(1_000)).is_ok() {});
    for (what, port) in [("silent", silent), ("http", http), ("endless", endless), ("huge", huge), ("nested", nested)] {
        let (snapshot, took) = audited(port).await;
        let gap = snapshot.redis.expect_err(what);
        assert!(matches!(gap.cause, Cause::Unreachable | Cause::TimedOut { .. }), "{what}: {gap:?}");
        assert!(took < Duration::from_secs(6), "{what}: {took:?}");
    }
    assert!(accepted.load(Ordering::Relaxed) >= 1);
}
