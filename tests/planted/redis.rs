//! The servers of the planted store, what is put into each, and the traffic of the window.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use redis::Cmd;

use crate::harness::{Server, command, fill};
use crate::shapes::{ULID, add_jobs, cache_entry, open_queue, write_checkpoint};

const EVENTS: &str = "RedisEventBusService:events-queue";
const WORKFLOWS: &str = "bull:medusa-workflows";
const SCHEDULED: &str = "bull:medusa-workflows-jobs";
const MIB: u64 = 1 << 20;
/// Some tenths of a second in which nobody else is answered.
const BUSY: &str = "local x = 0 for i = 1, 60000000 do x = x + i end return 1";
/// Sessions of half a kilobyte, quicker than one by one.
const SESSIONS: &str = "local v = string.rep('x', 520) for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do \
    redis.call('set', string.format('sess:%012dUkchYwOsiIKO85jIep7i', i), v, 'EX', 36000) end return 1";
const ENDED: &str = "for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do if i % 4 ~= 0 then \
    redis.call('del', string.format('sess:%012dUkchYwOsiIKO85jIep7i', i)) end end return 1";
const VOUCHERS: &str = "for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do redis.call('set', 'offer:code:' .. i, 'x', 'PX', 1) end return 1";
/// 320,000 reads of one key.
const READ: &str = "for i = 1, 320000 do redis.call('get', KEYS[1]) end return 1";

/// The servers by the names that the lists of faults and traps give them.
pub struct Store {
    pub servers: BTreeMap<&'static str, Server>,
    _held: Vec<redis::Connection>,
}

/// Name and settings, worst first. Where nothing is said the harness's: nothing on disk, no limit.
const SERVERS: &[(&str, &[&str])] = &[
    ("shop", &["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "64"]),
    ("jobs", &["--maxmemory", "96mb", "--appendonly", "yes", "--appendfsync", "always"]),
    ("cache", &["--maxmemory", "48mb"]),
    ("sessions", &[]),
    ("hot", &["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu"]),
    ("reports", &["--latency-monitor-threshold", "100"]),
    ("clients", &["--maxclients", "40"]),
    ("disk", &[]),
    ("vouchers", &["--enable-debug-command", "yes"]),
    (
        "healthy",
        &[
            "--maxmemory",
            "256mb",
            "--appendonly",
            "yes",
            "--maxclients",
            "60",
            "--slowlog-log-slower-than",
            "0",
            "--slowlog-max-len",
            "20000",
            "--latency-monitor-threshold",
            "10",
            "--enable-debug-command",
            "yes",
        ],
    ),
    ("full", &["--maxmemory", "16mb", "--maxmemory-policy", "allkeys-lru"]),
    ("young", &[]),
];

/// Redis 7 and Valkey keep DEBUG to those who ask for it; earlier versions do not know the setting.
fn known(arguments: &[&'static str]) -> Vec<&'static str> {
    let version = crate::harness::program_version();
    let major: u32 = version.split([' ', '.']).find_map(|p| p.parse().ok()).unwrap();
    let is_known = |pair: &&[&str]| major >= 7 || pair[0] != "--enable-debug-command";
    arguments.chunks(2).filter(is_known).flatten().copied().collect()
}

impl Store {
    /// `None` without a redis-server.
    pub fn start() -> Option<Self> {
        let mut servers = BTreeMap::new();
        for (name, arguments) in SERVERS {
            servers.insert(*name, Server::start(&known(arguments))?);
        }
        let (nobody, master) = (crate::harness::free_port().to_string(), servers["healthy"].port.to_string());
        servers.insert("replica", Server::start(&["--replicaof", "127.0.0.1", &nobody])?);
        servers.insert("follower", Server::start(&["--replicaof", "127.0.0.1", &master])?);
        let mut store = Self { servers, _held: Vec::new() };
        store.plant();
        Some(store)
    }

    pub fn on(&self, name: &str) -> &Server {
        &self.servers[name]
    }

    fn plant(&mut self) {
        // The pages first: what is asked for least is what an LRU policy throws away, and the planted keys must stay.
        let pages = |range: std::ops::Range<usize>| range.map(page);
        fill(self.on("shop"), pages(0..3_650));
        let held = [
            plant_jobs(self.on("jobs")),
            plant_clients(self.on("clients")),
            plant_healthy(self.on("healthy")),
            vec![self.on("shop").connect_named("medusa-cache-redis")],
        ];
        plant_cache(self.on("cache"));
        plant_sessions(self.on("sessions"));
        plant_hot(self.on("hot"));
        plant_disk(self.on("disk"));
        plant_vouchers(self.on("vouchers"));
        plant_full(self.on("full"));
        fill(self.on("reports"), [command(&["SET", "report:daily", "{}"]), command(&["EVAL", BUSY, "0"])]);
        plant_shop(self.on("shop"));
        self.on("follower").wait_for("master_link_status", |v| v == "up");
        self._held = held.into_iter().flatten().collect();
    }

    /// What happens while the audit watches, for `seconds`.
    pub fn live(&self, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut reports = self.on("reports").connect_named("dashboard");
        for turn in 0.. {
            if Instant::now() >= end {
                break;
            }
            self.turn(turn, &mut reports);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn turn(&self, turn: usize, reports: &mut redis::Connection) {
        fill(self.on("shop"), (0..12).map(|i| page(10_000 + turn * 12 + i)));
        fill(self.on("shop"), [command(&["KEYS", "catalog:tree:*"])]);
        add_jobs(self.on("jobs"), EVENTS, 400 + turn * 4..404 + turn * 4, "prioritized");
        add_jobs(self.on("jobs"), WORKFLOWS, 2_000 + turn * 10..2_010 + turn * 10, "wait");
        fill(self.on("cache"), (0..200).map(|i| command(&["HGET", &format!("mc:{:016x}", (turn * 200 + i) % 500), "data"])));
        if turn.is_multiple_of(4) {
            fill(self.on("cache"), [command(&["SMEMBERS", &format!("mc:tag:{:016x}", 0)])]);
        }
        if turn.is_multiple_of(5) {
            redis::cmd("EVAL").arg(BUSY).arg(0).query::<()>(reports).unwrap();
        }
        if turn == 3 {
            knock(self.on("clients"), 12);
        }
        self.shop_at_healthy(turn);
    }

    /// 55 % of the lookups are answered, tags are read, and the backlog is worked off.
    fn shop_at_healthy(&self, turn: usize) {
        let healthy = self.on("healthy");
        fill(healthy, (0..60).map(|i| command(&["HGET", &format!("mc:{:016x}", (turn * 11 + i) % 270), "data"])));
        fill(healthy, (0..20).map(|i| command(&["SMEMBERS", &format!("mc:tag:{i:016x}")])));
        fill(healthy, (0..8).map(|_| command(&["RPOP", &format!("{WORKFLOWS}:wait")])));
        fill(healthy, [command(&["SET", &format!("medusa_lock:cart_{ULID}"), "owner", "EX", "30"])]);
        add_jobs(self.on("healthy"), EVENTS, 9_000 + turn..9_001 + turn, "prioritized");
        fill(
            healthy,
            [
                command(&["ZREM", &format!("{EVENTS}:prioritized"), &(9_000 + turn).to_string()]),
                command(&["DEL", &format!("{EVENTS}:{}", 9_000 + turn)]),
            ],
        );
    }
}

fn page(i: usize) -> Cmd {
    command(&["SET", &format!("cache:page:{i}"), &"x".repeat(15_000), "EX", "3600"])
}

/// Opens connections until some are refused, and hangs up.
fn knock(server: &Server, count: usize) {
    let open: Vec<TcpStream> = (0..count).filter_map(|_| TcpStream::connect(("127.0.0.1", server.port)).ok()).collect();
    std::thread::sleep(Duration::from_millis(150));
    drop(open);
    std::thread::sleep(Duration::from_millis(50));
}

fn session(i: usize) -> Cmd {
    command(&["SET", &format!("sess:{i:0>12}UkchYwOsiIKO85jIep7i"), &"x".repeat(250), "EX", "36000"])
}

/// An entry of the caching module of this many bytes.
fn entry(i: usize, bytes: usize) -> [Cmd; 2] {
    let key = format!("mc:{i:016x}");
    [command(&["HSET", &key, "data", &"x".repeat(bytes), "options", "{}"]), command(&["EXPIRE", &key, "3600"])]
}

fn collection(server: &Server, name: &str, count: usize, add: impl Fn(usize) -> Cmd) {
    fill(server, (0..count).map(add).chain([command(&["EXPIRE", name, "3600"])]));
}

/// Everything on one instance that throws keys away.
fn plant_shop(server: &Server) {
    // Another second on the server's clock: the pages are older than all that follows.
    std::thread::sleep(Duration::from_millis(1_600));
    fill(server, open_queue(EVENTS));
    add_jobs(server, EVENTS, 1..1_801, "failed");
    add_jobs(server, EVENTS, 1_801..1_821, "prioritized");
    fill(server, [command(&["SET", &format!("{EVENTS}:stalled-check"), "1", "PX", "300000"])]);
    fill(server, open_queue("bull:invoices"));
    add_jobs(server, "bull:invoices", 1..1_301, "completed");
    add_jobs(server, "bull:invoices", 1_301..1_421, "delayed");
    fill(server, (0..600).map(|i| command(&["SET", &format!("catalog:tree:{i}"), &"x".repeat(400)])));
    fill(server, (0..1_200).map(session));
    fill(server, (0..30).map(|i| command(&["SET", &format!("medusa_lock:cart_01M8469SSQJ16F56J2S24NK{i:0>3}"), "owner", "EX", "120"])));
}

/// Queues beside a cache that has taken their memory, written to disk at every command; nobody works on the events.
fn plant_jobs(server: &Server) -> Vec<redis::Connection> {
    fill(server, open_queue(EVENTS));
    add_jobs(server, EVENTS, 1..301, "prioritized");
    fill(server, open_queue(WORKFLOWS));
    fill(server, [command(&["SET", &format!("{WORKFLOWS}:stalled-check"), "1", "PX", "300000"])]);
    add_jobs(server, WORKFLOWS, 1..1_201, "wait");
    fill(server, open_queue("bull:exports"));
    add_jobs(server, "bull:exports", 1..1_301, "completed");
    server.cli("DEL bull:exports:completed");
    let mut connection = server.connect_named("medusa-cache-redis");
    for i in 0..40 {
        write_checkpoint(&mut connection, &format!("dtrx:complete-cart:auto-01M8469SSQJ16F56J2S24NK{i:0>3}"), 4 * 86_400);
    }
    let mut i = 0;
    // What the server needs for a moment only, to write its file, is not what fills it.
    for _ in 0..3 {
        while server.used_memory() < 96 * MIB * 94 / 100 {
            fill(server, (i..i + 5).flat_map(|i| entry(i, 80_000)));
            i += 5;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    vec![connection]
}

/// A cache that may not drop anything, with all that goes wrong in a cache.
fn plant_cache(server: &Server) {
    // 200 entries of 500 that are asked for; their tags hold what expired long ago.
    fill(server, (0..200).flat_map(|i| cache_entry(i, 1 + i % 20..3 + i % 20)));
    for tag in 1..21 {
        let set = format!("mc:tag:{tag:016x}");
        collection(server, &set, 3_000, |i| command(&["SADD", &set, &format!("mc:{:016x}", 1_000_000 + i)]));
    }
    let huge = format!("mc:tag:{:016x}", 0);
    collection(server, &huge, 120_000, |i| command(&["SADD", &huge, &format!("mc:{:016x}", 2_000_000 + i)]));
    fill(server, (0..400).map(|i| command(&["SET", &format!("search:facets:{i}"), &"x".repeat(500)])));
    fill(server, [command(&["SET", "cache:products:all", &"x".repeat(3_000_000), "EX", "3600"])]);
    collection(server, "catalog:menu", 15_000, |i| command(&["HSET", "catalog:menu", &format!("item{i}"), "x"]));
    collection(server, "products:popular", 12_000, |i| command(&["ZADD", "products:popular", &i.to_string(), &format!("prod_{i}")]));
    let mut i = 1_000;
    while server.used_memory() < 48 * MIB * 85 / 100 {
        fill(server, (i..i + 5).flat_map(|i| entry(i, 20_000)));
        i += 5;
    }
}

/// A session a request, three of four of which have ended and left holes; nothing on disk.
fn plant_sessions(server: &Server) {
    let mut connection = server.connect_named("");
    for script in [SESSIONS, ENDED] {
        for from in (0..440_000).step_by(40_000) {
            redis::cmd("EVAL").arg(script).arg(0).arg(from).arg(from + 39_999).query::<()>(&mut connection).unwrap();
        }
    }
}

fn plant_hot(server: &Server) {
    let lock = format!("medusa_lock:cart_{ULID}");
    fill(server, (0..50).map(|i| command(&["SET", &format!("cache:page:{i}"), "x", "EX", "3600"])));
    fill(server, [command(&["SET", "cache:menu", "x", "EX", "3600"]), command(&["SET", &lock, "owner", "EX", "3600"])]);
    fill(server, [command(&["EVAL", READ, "1", "cache:menu"]), command(&["EVAL", READ, "1", &lock])]);
}

fn plant_clients(server: &Server) -> Vec<redis::Connection> {
    fill(server, (0..100).map(|i| command(&["SET", &format!("cart:recent:{i}"), "x", "EX", "600"])));
    (0..33).map(|_| server.connect_named("store")).collect()
}

/// A folder where the file should be: not even root may replace it.
fn plant_disk(server: &Server) {
    fill(server, (0..200).map(|i| command(&["SET", &format!("wishlist:{i}"), "x"])));
    std::fs::create_dir(server.dir().join("dump.rdb")).unwrap();
    server.cli("CONFIG SET save \"3600 1\"");
    server.cli("BGSAVE");
    server.wait_for("rdb_last_bgsave_status", |v| v == "err");
}

/// Expired long ago and still there.
fn plant_vouchers(server: &Server) {
    let stale = |value: &str| value.parse::<f64>().unwrap_or(0.0);
    server.cli("DEBUG SET-ACTIVE-EXPIRE 0");
    let mut connection = server.connect_named("");
    let mut expire = |range: std::ops::Range<usize>| {
        for from in range.step_by(50_000) {
            redis::cmd("EVAL").arg(VOUCHERS).arg(0).arg(from).arg(from + 49_999).query::<()>(&mut connection).unwrap();
        }
    };
    // Enough for the server's own estimate to rise; it removes most of them meanwhile, so some are added once it has been stopped.
    expire(0..600_000);
    server.cli("DEBUG SET-ACTIVE-EXPIRE 1");
    server.wait_for("expired_stale_perc", |v| stale(v) > 30.0);
    server.cli("DEBUG SET-ACTIVE-EXPIRE 0");
    expire(600_000..700_000);
}

/// A cache that is full, may drop what is old, and has done so.
fn plant_full(server: &Server) {
    fill(server, (0..60).map(|i| command(&["SET", &format!("cache:layout:{i}"), "x"])));
    fill(server, (0..1_400).map(page));
    fill(server, (0..400).map(|i| command(&["GET", &format!("cache:page:{}", 1_399 - i % 300)])));
}

/// A shop as it should be, with everything that looks like trouble and is none.
fn plant_healthy(server: &Server) -> Vec<redis::Connection> {
    crate::harness::write_stock(server, ULID);
    fill(server, (0..10_087).map(|i| command(&["XADD", &format!("{EVENTS}:events"), "*", "event", "completed", "jobId", &i.to_string()])));
    add_jobs(server, EVENTS, 5_000..5_600, "failed");
    add_jobs(server, EVENTS, 8_000..8_030, "prioritized");
    fill(server, open_queue(SCHEDULED));
    add_jobs(server, SCHEDULED, 1..901, "completed");
    add_jobs(server, SCHEDULED, 901..3_401, "failed");
    add_jobs(server, WORKFLOWS, 1..701, "wait");
    fill(server, open_queue("bull:newsletter"));
    add_jobs(server, "bull:newsletter", 1..301, "paused");
    fill(server, open_queue("bull:exports"));
    add_jobs(server, "bull:exports", 1..31, "wait");
    fill(server, open_queue("bull:reservations"));
    add_jobs(server, "bull:reservations", 1..501, "delayed");
    let mut connection = server.connect_named("medusa-cache-redis");
    for i in 0..6 {
        write_checkpoint(&mut connection, &format!("dtrx:create-payment:{i:0>3}8469SSQJ16F56J2S24NK90Y"), 2 * 86_400);
    }
    let half = |i: usize| [command(&["SET", &format!("cache:banner:{i}"), "x"]), command(&["EXPIRE", &format!("cache:banner:{i}"), "600"])];
    fill(server, (0..200).flat_map(half));
    fill(server, (200..212).map(|i| command(&["SET", &format!("cache:banner:{i}"), "x"])));
    fill(server, [command(&["SET", "cache:homepage", &"x".repeat(90_000), "EX", "600"])]);
    fill(server, entry(7_777, 300_000));
    fill(server, [command(&["KEYS", "mc:*"]), command(&["KEYS", "medusa:ps:*"]), command(&["EVAL", BUSY, "0"])]);
    // The worst the monitor ever saw is not what it saw last.
    server.cli("DEBUG SLEEP 0.3");
    // Samples of one second are one.
    std::thread::sleep(Duration::from_millis(1_200));
    server.cli("DEBUG SLEEP 0.02");
    knock(server, 64);
    let workers = [
        "RedisEventBusService:ZXZlbnRzLXF1ZXVl",
        "bull:bWVkdXNhLXdvcmtmbG93cw==",
        "bull:bWVkdXNhLXdvcmtmbG93cy1qb2Jz",
        // Busy from the start: it has waited for nothing, and its mark has run out.
        "bull:ZXhwb3J0cw==",
    ];
    let mut open: Vec<redis::Connection> = workers.iter().map(|name| server.connect_named(name)).collect();
    open.extend((0..38).map(|_| server.connect_named("store")));
    open.push(connection);
    open
}
