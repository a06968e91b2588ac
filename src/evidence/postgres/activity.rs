//! Who is connected and what they wait for.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    pub max_connections: u32,
    pub reserved: u32,
    /// Client backends of all databases, our own excluded.
    pub connections: u32,
    /// Backends by application name, role, state; names and counts only.
    pub groups: Vec<SessionGroup>,
    /// Sessions worth naming: waiting, long or idle in transaction; our own, autovacuum and walsenders excluded.
    pub sessions: Vec<Session>,
    /// Sessions of other roles whose state this role may not see.
    pub hidden: u32,
    /// Wait events seen over the window's samples: name, times seen.
    pub waits: Vec<(String, u64)>,
    /// Oldest transaction that holds back vacuum: what it is and its age in transactions.
    pub oldest_xmin: Option<XminHolder>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionGroup {
    pub application: String,
    pub role: String,
    pub state: String,
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub pid: i32,
    pub application: String,
    pub role: String,
    pub state: String,
    pub wait: Option<String>,
    /// Seconds since the transaction, the statement, the last state change began.
    pub transaction_s: Option<f64>,
    pub statement_s: Option<f64>,
    pub state_s: Option<f64>,
    /// Seconds waiting for a lock.
    pub waiting_s: Option<f64>,
    pub blocked_by: Vec<i32>,
    /// `queryid` of its statement (14 and later), never its text: texts of running statements hold values.
    pub statement_id: Option<String>,
    /// Tables on which it holds a lock stronger than reading, `public.cart`; at most ten.
    #[serde(default)]
    pub locked_tables: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct XminHolder {
    /// "session", "prepared transaction", "replication slot", "standby".
    pub kind: String,
    pub name: String,
    pub age_xids: u64,
}
