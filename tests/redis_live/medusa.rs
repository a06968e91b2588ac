//! A real Medusa on servers of its own: its packages from npm, the rows of a really seeded store, a configuration of the test, and shoppers.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::{Server, free_port};
use super::live::{self, Db};
use super::npm::{Running, SOURCES, finished, installed, node};

/// Seconds in which Medusa must be up: it takes seven on a quiet machine.
const STARTS_IN: Duration = Duration::from_secs(120);
/// Seconds after which a Medusa that was asked to end is ended.
const ENDS_IN: Duration = Duration::from_secs(10);

/// A release of Medusa, and where its installed packages are.
pub struct Release {
    /// "v2": names the files of its data.
    name: &'static str,
    /// Its configuration and its shoppers, a folder of tests/redis_live.
    sources: &'static str,
    packages: fn() -> Option<PathBuf>,
}

pub const V1: Release = Release { name: "v1", sources: "store-v1", packages: packages_v1 };
pub const V2: Release = Release { name: "v2", sources: "store", packages: packages_v2 };

/// Installed here where no project is named: it is a third of version 2.
fn packages_v1() -> Option<PathBuf> {
    match std::env::var_os("ADVISOR_TEST_MEDUSA_V1") {
        Some(project) => Some(project.into()),
        // TypeORM, which Medusa 1 wants at that release, asks for peers that do not agree.
        None => installed("medusa-1.20.11", V1.sources, &["package.json"], &["--legacy-peer-deps", "--omit=dev", "--omit=optional"]),
    }
}

fn packages_v2() -> Option<PathBuf> {
    let project = std::env::var_os("ADVISOR_TEST_MEDUSA").map(PathBuf::from);
    if project.is_none() {
        println!("skipped: ADVISOR_TEST_MEDUSA names no installed Medusa 2 project");
    }
    project
}

impl Release {
    /// The schema and the rows of a really seeded store. `false`: the files are absent.
    fn seed(&self, url: &str) -> bool {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/medusa");
        let name = self.name;
        if !folder.join(format!("seed-{name}.sql.gz")).exists() {
            println!("skipped: {} is absent", folder.join(format!("seed-{name}.sql.gz")).display());
            return false;
        }
        // The rows come in the order of their tables: foreign keys are looked at by nobody meanwhile.
        let load = format!(
            "cd '{}' && (cat {name}-schema.sql; echo 'set session_replication_role = replica;'; zcat seed-{name}.sql.gz) | psql -q -X -d '{url}'",
            folder.display()
        );
        assert!(Command::new("sh").args(["-c", &load]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
        true
    }
}

/// A store with its Postgres and its Redis, which is up or not.
pub struct Shop {
    release: &'static Release,
    project: PathBuf,
    database: String,
    /// What shoppers of version 2 must know, the publishable key and the region; of version 1 the token of its administrator.
    key: String,
    region: String,
    pub redis: Server,
    /// Medusa and its address.
    running: Option<(Running, String)>,
}

impl Shop {
    /// A store that is not up yet. `None`, with the reason printed: something is missing. `name` is its database's.
    pub async fn new(release: &'static Release, name: &str) -> Option<Self> {
        let packages = (release.packages)()?;
        let postgres = live::server()?;
        let Some(redis) = Server::start(&["--appendonly", "yes"]) else {
            println!("skipped: no redis-server here");
            return None;
        };
        let db = Db::new(&postgres, name).await;
        if !release.seed(&db.url) {
            return None;
        }
        let project = redis.dir().join("store");
        std::fs::create_dir(&project).unwrap();
        std::fs::copy(packages.join("package.json"), project.join("package.json")).unwrap();
        for file in ["stock.js", "medusa-config.js", "../apply.cjs"] {
            let name = Path::new(file).file_name().unwrap();
            std::fs::copy(Path::new(SOURCES).join(release.sources).join(file), project.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(packages.join("node_modules"), project.join("node_modules")).unwrap();
        let (key, region) = match release.name {
            "v2" => (one_text(&db, KEY).await, one_text(&db, "select min(id) from region where deleted_at is null").await),
            _ => {
                db.run(&format!("update public.\"user\" set api_token = '{ADMIN_TOKEN}'")).await;
                (ADMIN_TOKEN.to_owned(), String::new())
            }
        };
        Some(Self { release, project, database: db.url, key, region, redis, running: None })
    }

    /// A store that is up, with everything in Redis.
    pub async fn open(release: &'static Release, name: &str, mode: &str) -> Option<Self> {
        let mut shop = Self::new(release, name).await?;
        shop.start(&[("MEDUSA_WORKER_MODE", mode)]);
        Some(shop)
    }

    /// Puts printed fragments into the configuration: `store` is what they change, an expression over `stock`.
    pub fn configure(&self, store: &str, fragments: &[&str]) {
        let names: Vec<String> = (0..fragments.len()).map(|i| format!("fragment-{i}.ts")).collect();
        for (name, text) in names.iter().zip(fragments) {
            std::fs::write(self.project.join(name), text).unwrap();
        }
        let define = if self.release.name == "v2" { "require(\"@medusajs/framework/utils\").defineConfig" } else { "" };
        let config = format!("const stock = require(\"./stock\")\nmodule.exports = {define}(require(\"./apply.cjs\")({store}, {names:?}))\n");
        std::fs::write(self.project.join("medusa-config.js"), config).unwrap();
    }

    /// Puts a printed file where it belongs in the project.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.project.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Starts Medusa, after it was ended where it is up, and waits until it answers.
    pub fn start(&mut self, environment: &[(&str, &str)]) {
        self.end();
        let port = free_port().to_string();
        let log = std::fs::File::create(self.redis.file("medusa.log")).unwrap();
        let mut command = self.medusa(&["start", "--port", &port]);
        command.envs(environment.iter().copied());
        let mut running = Running(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        let backend = format!("http://127.0.0.1:{port}");
        let deadline = Instant::now() + STARTS_IN;
        let is_up = || Command::new("curl").args(["-sf", "-o", "/dev/null", &format!("{backend}/health")]).status().unwrap().success();
        while !is_up() {
            let has_ended = running.0.try_wait().unwrap();
            assert!(has_ended.is_none() && Instant::now() < deadline, "{has_ended:?} {}", self.log());
            std::thread::sleep(Duration::from_millis(300));
        }
        self.running = Some((running, backend));
    }

    /// Ends Medusa as an operator does, so that its workers give back what they hold.
    pub fn end(&mut self) {
        let Some((mut running, _)) = self.running.take() else { return };
        let _ = Command::new("kill").arg(running.0.id().to_string()).status();
        let deadline = Instant::now() + ENDS_IN;
        while running.0.try_wait().unwrap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.redis.file("medusa.log")).unwrap()
    }

    /// A command of the installed project.
    fn medusa(&self, arguments: &[&str]) -> Command {
        let mut command = node(&self.project, &self.redis, &[&["node_modules/.bin/medusa"], arguments].concat());
        command.envs([("DATABASE_URL", self.database.as_str()), ("HOST", "127.0.0.1"), ("NODE_ENV", "production")]);
        command.envs([("CACHE_REDIS_URL", self.redis.url().as_str()), ("DISABLE_MEDUSA_ADMIN", "true"), ("MEDUSA_DISABLE_TELEMETRY", "true")]);
        // Version 1 listens on every address of the machine.
        if self.release.name == "v1" {
            command.env("NODE_OPTIONS", format!("--require {SOURCES}/{}/loopback.cjs", self.release.sources));
        }
        command
    }

    /// Lets shoppers in; returns how many requests were answered, and none may be refused.
    pub fn trade(&self, seconds: u32) -> u32 {
        let (_, backend) = self.running.as_ref().expect("the store is up");
        let mut command = Command::new("node");
        command.arg(Path::new(SOURCES).join(self.release.sources).join("shop.cjs")).arg(seconds.to_string());
        command.env("BACKEND", backend).env("KEY", &self.key).env("REGION", &self.region);
        let output = finished(command);
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    /// Runs a printed command line in the project, in the background: Medusa beside the one that is up.
    pub fn beside(&self, line: &str) -> Group {
        let log = std::fs::File::create(self.redis.file("beside.log")).unwrap();
        let mut command = Command::new("sh");
        let of_medusa = self.medusa(&[]);
        command.envs(of_medusa.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(&self.project);
        Group(command.args(["-c", line]).process_group(0).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    /// Takes a lock through Medusa's own module: those of carts are gone before they could be sampled.
    pub fn lock(&self) {
        std::fs::copy(Path::new(SOURCES).join(self.release.sources).join("lock.js"), self.project.join("lock.js")).unwrap();
        let mut command = self.medusa(&["exec", "./lock.js"]);
        command.env("MEDUSA_WORKER_MODE", "server");
        finished(command);
    }
}

/// A shell and what it started, a process group of their own that ends with the test.
pub struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

async fn one_text(db: &Db, sql: &'static str) -> String {
    let (text,): (String,) = sqlx::query_as(sql).fetch_one(&mut db.connection().await).await.unwrap();
    text
}

/// Of the one who changes prices in version 1.
const ADMIN_TOKEN: &str = "admin-token";

const KEY: &str = "select a.token from api_key a join publishable_api_key_sales_channel l on l.publishable_key_id = a.id \
    join product_sales_channel p on p.sales_channel_id = l.sales_channel_id where a.type = 'publishable' and a.revoked_at is null \
    group by a.token order by count(*) desc, 1 limit 1";
