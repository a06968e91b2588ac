//! One bounded GET: redirects by hand, cookies for the length of one chain, bodies capped, headers reduced to what is judged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use tokio::sync::Semaphore;
use url::Url;

use super::budget::Budget;
use super::headers;
use crate::collect::run::Lane;
use crate::connect::http::{self, HostGuard};
use crate::connect::profile::Limits;
use crate::evidence::storefront::Answer;

const REDIRECTS_MAX: usize = 5;
/// Requests in flight at any time.
const CONCURRENT_MAX: usize = 2;
/// A host that failed this often is not asked again: a dead one must not cost a timeout for every path.
const FAILURES_MAX: u32 = 2;

/// What to ask for.
#[derive(Debug, Clone)]
pub struct Ask {
    pub url: Url,
    /// Sent on the first hop, besides what the chain itself sets.
    pub cookie: Option<&'static str>,
    pub accept: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub keeps_body: bool,
    /// One of the timed repeats, for which requests are kept.
    pub is_timed: bool,
    /// Sends the cookies that earlier redirects to the same address handed out, as a browser on its second page would.
    pub is_returning: bool,
}

const ENCODINGS: &str = "br, zstd, gzip";
pub const ACCEPT_PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
pub const ACCEPT_ANY: &str = "*/*";
pub const ACCEPT_IMAGE: &str = "image/avif,image/webp,*/*;q=0.8";

impl Ask {
    pub fn new(url: Url, accept: &'static str) -> Self {
        Self { url, cookie: None, accept, headers: Vec::new(), keeps_body: false, is_timed: false, is_returning: false }
    }

    /// What the first request carries, for the record: cookies by their names, a key by its presence.
    pub fn sent(&self) -> Vec<(String, String)> {
        let mut sent = vec![("accept".to_owned(), self.accept.to_owned()), ("accept-encoding".to_owned(), ENCODINGS.to_owned())];
        sent.extend(self.cookie.map(|c| ("cookie".to_owned(), c.split('=').next().unwrap_or(c).to_owned())));
        let shown = |name: &str, value: &String| if name == "x-publishable-api-key" { "set".to_owned() } else { value.clone() };
        sent.extend(self.headers.iter().map(|(name, value)| ((*name).to_owned(), shown(name, value))));
        sent
    }
}

/// What came back.
#[derive(Debug)]
pub struct Fetched {
    pub answer: Answer,
    /// Empty unless asked for.
    pub body: Vec<u8>,
    /// After redirects.
    pub url: Url,
}

/// Sends every request of one run and keeps its limits.
pub struct Prober<'a> {
    client: reqwest::Client,
    guard: HostGuard,
    lane: &'a Lane,
    timeout: Duration,
    body_bytes_max: u64,
    budget: Mutex<Budget>,
    calls: AtomicU64,
    bytes: AtomicU64,
    slots: Semaphore,
    failures: Mutex<BTreeMap<String, u32>>,
    /// By origin: cookies of redirects to the same address (the storefront starter's `_medusa_cache_id`). Never recorded.
    visitor: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

impl<'a> Prober<'a> {
    /// # Errors
    /// A sentence when TLS cannot be set up.
    pub fn new(guard: &HostGuard, limits: &Limits, lane: &'a Lane) -> Result<Self, String> {
        let timeout = limits.connect_timeout();
        Ok(Self {
            client: http::client(guard, timeout)?,
            guard: guard.clone(),
            lane,
            timeout,
            body_bytes_max: limits.probe_body_bytes_max,
            budget: Mutex::new(Budget::new(limits.probe_requests_max, limits.probe_bytes_max)),
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            slots: Semaphore::new(CONCURRENT_MAX),
            failures: Mutex::new(BTreeMap::new()),
            visitor: Mutex::new(BTreeMap::new()),
        })
    }

    /// Requests sent and bytes received so far.
    pub fn spent(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Reads or changes what the run may still ask.
    pub fn budget<T>(&self, with: impl FnOnce(&mut Budget) -> T) -> T {
        with(&mut self.budget.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends the request and follows its redirects, all within one timeout.
    ///
    /// # Errors
    /// One sentence on why nothing came back.
    pub async fn fetch(&self, ask: &Ask) -> Result<Fetched, String> {
        self.guard.permits(&ask.url)?;
        let name = ask.url.host_str().ok_or("The address names no host.")?;
        // Backend and storefront may share a machine: one that is down says nothing of the other.
        let host = ask.url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        if self.failures_of(&host) >= FAILURES_MAX {
            return Err(format!("{host} failed {FAILURES_MAX} times before and was not asked again."));
        }
        let _slot = self.slots.acquire().await.map_err(|_| "The audit ended.".to_owned())?;
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(self.timeout, self.chain(ask)) => outcome,
            () = self.lane.cancelled() => return Err("The audit was cancelled.".to_owned()),
        };
        self.lane.cost(self.calls.load(Ordering::Relaxed), None);
        let outcome = outcome.unwrap_or_else(|_| Err(Failure::Host(format!("{host} gave no complete answer within {} s.", self.timeout.as_secs()))));
        outcome.map_err(|failure| match failure {
            Failure::Host(sentence) => {
                self.note_failure(&host);
                sentence
            }
            Failure::Own(sentence) => sentence,
        })
    }

    fn failures_of(&self, host: &str) -> u32 {
        self.failures.lock().map_or(0, |f| f.get(host).copied().unwrap_or(0))
    }

    fn note_failure(&self, host: &str) {
        if let Ok(mut failures) = self.failures.lock() {
            *failures.entry(host.to_owned()).or_insert(0) += 1;
        }
    }

    async fn chain(&self, ask: &Ask) -> Result<Fetched, Failure> {
        let mut url = ask.url.clone();
        let mut redirects = Vec::new();
        let mut jar = if ask.is_returning { self.visitor_cookies(&url) } else { BTreeMap::new() };
        loop {
            self.guard.permits_resolved(&url).await.map_err(Failure::Own)?;
            self.budget(|b| b.take(ask.is_timed)).map_err(Failure::Own)?;
            self.calls.fetch_add(1, Ordering::Relaxed);
            let start = Instant::now();
            let response = self.send(ask, &url, &jar).await?;
            let first_byte_ms = start.elapsed().as_secs_f64() * 1e3;
            let status = response.status().as_u16();
            if let Some(next) = redirect_target(status, &url, response.headers()) {
                redirects.push((status, headers::without_query(&next)));
                if redirects.len() > REDIRECTS_MAX {
                    return Err(Failure::Own(format!("More than {REDIRECTS_MAX} redirects, the last to {}.", headers::without_query(&next))));
                }
                self.guard.permits_redirect(&url, &next).map_err(Failure::Own)?;
                if next.host_str() == url.host_str() {
                    keep_cookies(&mut jar, response.headers());
                    if next == url {
                        self.keep_visitor(&url, &jar);
                    }
                } else {
                    jar.clear();
                }
                url = next;
                continue;
            }
            return self.finish(ask, response, url, redirects, (start, first_byte_ms)).await;
        }
    }

    fn visitor_cookies(&self, url: &Url) -> BTreeMap<String, String> {
        match self.visitor.lock() {
            Ok(visitor) => visitor.get(&url.origin().ascii_serialization()).cloned().into_iter().flatten().collect(),
            Err(_) => BTreeMap::new(),
        }
    }

    fn keep_visitor(&self, url: &Url, jar: &BTreeMap<String, String>) {
        if let Ok(mut visitor) = self.visitor.lock() {
            visitor.insert(url.origin().ascii_serialization(), jar.clone());
        }
    }

    async fn send(&self, ask: &Ask, url: &Url, jar: &BTreeMap<String, String>) -> Result<reqwest::Response, Failure> {
        let mut request = self.client.get(url.clone()).header("accept", ask.accept);
        request = request.header("accept-encoding", ENCODINGS);
        let is_same_host = url.host_str() == ask.url.host_str();
        let own = ask.cookie.filter(|_| is_same_host).map(str::to_owned);
        let cookies: Vec<String> = own.into_iter().chain(jar.iter().map(|(name, value)| format!("{name}={value}"))).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in ask.headers.iter().filter(|_| is_same_host) {
            request = request.header(*name, value);
        }
        request.send().await.map_err(|e| self.failure(url, &e))
    }

    async fn finish(
        &self,
        ask: &Ask,
        mut response: reqwest::Response,
        url: Url,
        redirects: Vec<(u16, String)>,
        (start, first_byte_ms): (Instant, f64),
    ) -> Result<Fetched, Failure> {
        let protocol = protocol(response.version());
        let status = response.status().as_u16();
        let kept = headers::kept(response.headers());
        let (mut body, mut body_bytes, mut body_cut) = (Vec::new(), 0u64, false);
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failure(&url, &e))? {
            body_bytes += chunk.len() as u64;
            self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            let is_run_full = self.budget(|b| b.spend(chunk.len() as u64, ask.is_timed));
            if ask.keeps_body {
                body.extend_from_slice(&chunk);
            }
            if body_bytes >= self.body_bytes_max || is_run_full {
                body_cut = true;
                break;
            }
        }
        let total_ms = start.elapsed().as_secs_f64() * 1e3;
        let answer = Answer { status, redirects, protocol, first_byte_ms, total_ms, headers: kept, body_bytes, body_cut };
        Ok(Fetched { answer, body, url })
    }

    fn failure(&self, url: &Url, e: &reqwest::Error) -> Failure {
        let host = url.host_str().unwrap_or("The host");
        Failure::Host(if e.is_timeout() {
            format!("{host} gave no complete answer within {} s.", self.timeout.as_secs())
        } else {
            format!("{host} could not be read: {}.", http::reason(e))
        })
    }
}

/// Who is to blame: a failing host is not asked for ever.
enum Failure {
    Host(String),
    Own(String),
}

fn redirect_target(status: u16, url: &Url, headers: &HeaderMap) -> Option<Url> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    url.join(headers.get("location")?.to_str().ok()?).ok()
}

fn keep_cookies(jar: &mut BTreeMap<String, String>, headers: &HeaderMap) {
    for value in headers.get_all("set-cookie") {
        let pair = value.to_str().ok().and_then(|v| v.split(';').next()?.split_once('='));
        if let Some((name, value)) = pair {
            jar.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
}

fn protocol(version: reqwest::Version) -> String {
    match version {
        reqwest::Version::HTTP_2 => "HTTP/2".to_owned(),
        reqwest::Version::HTTP_3 => "HTTP/3".to_owned(),
        other => format!("{other:?}"),
    }
}
