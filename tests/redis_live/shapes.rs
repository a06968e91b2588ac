//! Keys as BullMQ and Medusa's modules write them.

use redis::Cmd;

use crate::harness::{Server, command, fill};

pub const ULID: &str = "01M8469SSQJ16F56J2S24NK90Y";

/// The keys every BullMQ queue has.
pub fn open_queue(name: &str) -> Vec<Cmd> {
    vec![
        command(&["HSET", &format!("{name}:meta"), "opts.maxLenEvents", "10000", "version", "bullmq:5.13.0"]),
        command(&["XADD", &format!("{name}:events"), "MAXLEN", "~", "10000", "*", "event", "added", "jobId", "1", "name", "order.placed"]),
    ]
}

/// A job as event-bus-redis adds it, in the part of the queue that BullMQ keeps it in.
pub fn add_job(name: &str, id: usize, part: &str) -> Vec<Cmd> {
    let (key, id) = (format!("{name}:{id}"), id.to_string());
    let data = format!("{{\"data\":{{\"id\":\"order_{ULID}\"}},\"metadata\":{{\"eventGroupId\":\"{ULID}\"}}}}");
    let opts = "{\"attempts\":1,\"removeOnComplete\":true,\"priority\":100}";
    let job = command(&["HSET", &key, "name", "order.placed", "data", &data, "opts", opts, "timestamp", "1795438800000", "delay", "0"]);
    let place = match part {
        "wait" | "active" | "paused" => command(&["LPUSH", &format!("{name}:{part}"), &id]),
        _ => command(&["ZADD", &format!("{name}:{part}"), &id, &id]),
    };
    let finish = command(&["HSET", &key, "finishedOn", "1795438801000", "failedReason", "connect ECONNREFUSED", "stacktrace", "[]"]);
    let count = command(&["SET", &format!("{name}:id"), &id]);
    let is_finished = matches!(part, "failed" | "completed");
    [job, place, count].into_iter().chain(is_finished.then_some(finish)).collect()
}

pub fn add_jobs(server: &Server, name: &str, ids: std::ops::Range<usize>, part: &str) {
    fill(server, ids.flat_map(|i| add_job(name, i, part)));
}

/// An entry of the caching module with its tags, as caching-redis writes it.
pub fn cache_entry(i: usize, tags: std::ops::Range<usize>) -> Vec<Cmd> {
    let (key, back) = (format!("mc:{i:016x}"), format!("mc:tags:{i:016x}"));
    let mut commands = vec![command(&["HSET", &key, "data", &"x".repeat(400), "options", "{}"]), command(&["EXPIRE", &key, "3600"])];
    for tag in tags {
        let set = format!("mc:tag:{tag:016x}");
        commands.extend([command(&["SADD", &back, &format!("{tag:016x}")]), command(&["SADD", &set, &key]), command(&["EXPIRE", &set, "3660"])]);
    }
    commands.push(command(&["EXPIRE", &back, "3660"]));
    commands
}

/// A checkpoint that nobody touched for `idle_s`.
pub fn write_checkpoint(connection: &mut redis::Connection, name: &str, idle_s: u32) {
    redis::cmd("SET").arg("template").arg("x".repeat(24_000)).query::<()>(connection).unwrap();
    let dump: Vec<u8> = redis::cmd("DUMP").arg("template").query(connection).unwrap();
    redis::cmd("RESTORE").arg(name).arg(0).arg(dump).arg("IDLETIME").arg(idle_s).query::<()>(connection).unwrap();
    redis::cmd("DEL").arg("template").query::<()>(connection).unwrap();
}
