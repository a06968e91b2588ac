//! The stepwise test of the storefront's and the backend's addresses.

use std::time::Instant;

use url::Url;

use super::http::{self, HostGuard};
use super::profile::{Limits, ShopProfile, parse_shop};
use super::steps::{Capability, CapabilityState, StepState, TestReport, TestStep};

/// The addresses of a profile, read and guarded.
#[derive(Debug, Clone)]
pub struct Shop {
    pub storefront: Option<Url>,
    pub backend: Option<Url>,
    pub guard: HostGuard,
}

impl Shop {
    /// # Errors
    /// A sentence when an address is none.
    pub fn from_profile(profile: &ShopProfile) -> Result<Self, String> {
        let read = |text: &Option<String>| {
            text.as_deref().filter(|t| !t.trim().is_empty()).map(parse_shop).transpose().map_err(|e| e.to_string()).map(|u| u.map(bare))
        };
        let (storefront, backend) = (read(&profile.storefront_url)?, read(&profile.backend_url)?);
        if let Some(twice) = profile.resolve.iter().enumerate().find(|(i, f)| profile.resolve[..*i].iter().any(|g| g.host == f.host)) {
            return Err(format!("{} is given two addresses. Give it one.", twice.1.host));
        }
        let guard = HostGuard::new(storefront.iter().chain(&backend)).with_addresses(&profile.resolve);
        Ok(Self { storefront, backend, guard })
    }
}

/// Credentials typed into an address are not sent: they would end in snapshots.
fn bare(mut url: Url) -> Url {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url
}

/// Asks the storefront's home page, the backend's health and its product list.
pub async fn test(profile: &ShopProfile, limits: &Limits) -> TestReport {
    let mut report = TestReport::default();
    let opened = Shop::from_profile(profile).and_then(|shop| http::client(&shop.guard, limits.connect_timeout()).map(|client| (shop, client)));
    let (shop, client) = match opened {
        Ok(both) => both,
        Err(sentence) => {
            report.steps.push(TestStep { name: "Address read".to_owned(), detail: String::new(), ms: None, state: StepState::Failed(sentence) });
            return report;
        }
    };
    if let Some(url) = &shop.storefront {
        report.steps.push(ask("Storefront answers", &client, &shop.guard, url, None).await.0);
    }
    let Some(backend) = &shop.backend else { return report };
    let health = backend.join("/health").unwrap_or_else(|_| backend.clone());
    let (step, status) = ask("Backend answers", &client, &shop.guard, &health, None).await;
    report.steps.push(step);
    let name = "Store API answers";
    if status.is_none() {
        report.steps.push(TestStep { name: name.to_owned(), detail: String::new(), ms: None, state: StepState::NotRun });
        return report;
    }
    let list = backend.join("/store/products?limit=1").unwrap_or_else(|_| backend.clone());
    let (step, status) = ask(name, &client, &shop.guard, &list, profile.publishable_key.as_deref()).await;
    report.steps.push(step);
    report.capabilities.push(products(status));
    report
}

fn products(status: Option<u16>) -> Capability {
    let state = match status {
        Some(200) => CapabilityState::Granted,
        _ => CapabilityState::Missing { grant: "Add the publishable API key (Medusa Admin → Settings → Publishable API Keys).".to_owned() },
    };
    Capability { name: "Product list".to_owned(), detail: "timed for the P95".to_owned(), state }
}

async fn ask(name: &str, client: &reqwest::Client, guard: &HostGuard, url: &Url, key: Option<&str>) -> (TestStep, Option<u16>) {
    let start = Instant::now();
    let outcome = match guard.permits(url) {
        Ok(()) => {
            let mut request = client.get(url.clone());
            if let Some(key) = key {
                request = request.header("x-publishable-api-key", key);
            }
            request.send().await.map_err(|e| unreachable_sentence(url, &e))
        }
        Err(sentence) => Err(sentence),
    };
    let ms = Some(start.elapsed().as_secs_f64() * 1e3);
    let step = |detail: String, state| TestStep { name: name.to_owned(), detail, ms, state };
    match outcome {
        Ok(response) => {
            let status = response.status().as_u16();
            let host = url.host_str().unwrap_or("the server");
            let at = guard.address_of(host).map_or_else(String::new, |address| format!(" at {address}"));
            let detail = format!("HTTP {status} from {host}{at}");
            let state =
                if status >= 500 { StepState::Failed(format!("{detail}: the server reports an error. Look at its log.")) } else { StepState::Done };
            (step(detail, state), Some(status))
        }
        Err(sentence) => (step(String::new(), StepState::Failed(sentence)), None),
    }
}

fn unreachable_sentence(url: &Url, e: &reqwest::Error) -> String {
    let host = url.host_str().unwrap_or("The host");
    if e.is_timeout() {
        return format!("{host} did not answer in time. Check the address and the firewall.");
    }
    format!("{host} could not be reached: {}. Check the address.", http::reason(e))
}
