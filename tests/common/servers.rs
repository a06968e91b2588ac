//! Servers that one test needs for itself, by `tests/postgres-servers.sh`; they stop when this is dropped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub struct Servers {
    child: Child,
    values: BTreeMap<String, String>,
}

impl Servers {
    /// Starts `what`; says "skipped" where the machine lacks something.
    pub fn start(what: &str) -> Option<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        if std::env::var_os("ADVISOR_TEST_POSTGRES").is_none() {
            println!("skipped: ADVISOR_TEST_POSTGRES names no private Postgres server; tests/run.sh starts one");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres-servers.sh");
        let mut command = Command::new("bash");
        command.args([script, what]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut values = BTreeMap::new();
        for line in lines.map_while(Result::ok) {
            if line == "ready" {
                return Some(Self { child, values });
            }
            if line.starts_with("skipped:") {
                println!("{line}");
                let _ = child.wait();
                return None;
            }
            if let Some((name, value)) = line.split_once('=') {
                values.insert(name.to_owned(), value.to_owned());
            }
        }
        panic!("{script} {what} ended before its servers were ready: {:?}", child.wait());
    }

    pub fn value(&self, name: &str) -> &str {
        &self.values[name]
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
