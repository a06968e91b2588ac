//! Reads a Cloudflare zone: the zone, its settings, rules and tiering over REST, requests by cache status over GraphQL.

mod add_ons;
mod analytics;
mod answers;
mod classes;
mod groups;
mod plan;
#[cfg(test)]
mod recorded;

use std::time::Instant;

use super::Collected;
use super::run::Lane;
use crate::connect::cloudflare::{
    ApiError, Envelope, GRANT_CACHE_RULES, GRANT_PAGE_RULES, GRANT_SETTINGS, GRANT_ZONE, Session, ZoneError, find_zone,
};
use crate::connect::profile::{CloudflareProfile, Limits};
use crate::evidence::cdn::{CacheRule, Cloudflare, PageRule, TieredCache, Zone, ZoneSetting};
use crate::evidence::{Cause, Gap, Layer, LayerCost, Section, Seen};
use crate::secret::Secret;

const STEPS: u32 = 7;

/// Settings that checks judge. The list of all settings leaves newer ones out now and then: those are asked for one by one.
const SETTINGS_JUDGED: [&str; 6] = ["browser_cache_ttl", "cache_level", "development_mode", "min_tls_version", "rocket_loader", "ssl"];

/// Reads everything the token may see. Never fails as a whole.
pub async fn collect(profile: &CloudflareProfile, token: Option<&Secret<String>>, limits: &Limits, lane: &Lane) -> Collected<Cloudflare> {
    let start = Instant::now();
    let Some(token) = token else {
        let cause = Cause::Denied { grant: "Set CLOUDFLARE_API_TOKEN, or enter the token on the Connect page.".to_owned() };
        return failed(lane, Gap::new(Section::Cdn, cause, "No Cloudflare API token was given."));
    };
    let session = match Session::open(profile, token, limits) {
        Ok(session) => session,
        Err(e) => return failed(lane, gap(Section::Cdn, &e, GRANT_ZONE)),
    };
    // The zone's counters span the last day: the observation window is not waited for, and not held up.
    let (seen, _) = tokio::join!(
        async {
            tokio::select! {
                seen = read(&session, &profile.zone, lane) => seen,
                () = lane.cancelled() => Err(Gap::new(Section::Cdn, Cause::Unreadable, "The audit was cancelled while Cloudflare was read.")),
            }
        },
        lane.window_opens(),
    );
    let (calls, bytes) = session.spent();
    if let Ok(cloudflare) = &seen {
        cloudflare.gaps().iter().for_each(|gap| lane.gap(gap.detail.clone()));
    }
    lane.cost(calls, None);
    lane.done(seen.as_ref().err().map(|gap| gap.detail.clone()));
    let wall_ms = start.elapsed().as_secs_f64() * 1e3;
    Collected { seen, cost: LayerCost { layer: Layer::Cdn, calls, busy_ms: None, wall_ms, bytes }, timelines: Vec::new() }
}

fn failed(lane: &Lane, gap: Gap) -> Collected<Cloudflare> {
    lane.done(Some(gap.detail.clone()));
    Collected::nothing(Layer::Cdn, gap)
}

async fn read(session: &Session, wanted: &str, lane: &Lane) -> Seen<Cloudflare> {
    lane.reading("zone", 0, STEPS);
    let start = Instant::now();
    let verified = session.get("/user/tokens/verify").await;
    let round_trip_ms = start.elapsed().as_secs_f64() * 1e3;
    let found = find_zone(session, wanted).await.map_err(|e| match e {
        ZoneError::Api(e) => gap(Section::Cdn, &e, GRANT_ZONE),
        e @ ZoneError::NoSuchZone(_) => {
            Gap::new(Section::Cdn, Cause::Denied { grant: format!("Give the API token {GRANT_ZONE} for this zone.") }, e.to_string())
        }
    })?;
    let id = found.id.clone();
    let token_status = token_status(session, verified, found.account.as_ref().map(|a| a.id.as_str())).await;
    let zone = Zone {
        id: found.id,
        name: found.name,
        status: found.status,
        is_paused: found.paused,
        plan: found.plan.map_or_else(|| "unknown".to_owned(), |p| p.legacy_id),
        development_mode_s: found.development_mode.max(0),
        token_status,
        round_trip_ms,
    };
    lane.reading("zone settings", 1, STEPS);
    let settings = settings(session, &id).await;
    lane.reading("cache rules", 2, STEPS);
    let cache_rules = cache_rules(session, &id).await;
    lane.reading("page rules", 3, STEPS);
    let page_rules = page_rules(session, &id).await;
    lane.reading("tiered cache", 4, STEPS);
    let tiered_cache = tiered_cache(session, &id).await;
    lane.reading("add-ons", 5, STEPS);
    let add_ons = Ok(add_ons::read(session, &id).await);
    lane.reading("analytics", 6, STEPS);
    let analytics = analytics::read(session, &id).await;
    lane.reading("zone", STEPS, STEPS);
    Ok(Cloudflare { zone: Ok(zone), settings, cache_rules, page_rules, tiered_cache, add_ons, analytics })
}

async fn settings(session: &Session, zone: &str) -> Seen<Vec<ZoneSetting>> {
    let section = Section::CdnSettings;
    let envelope = session.get(&format!("/zones/{zone}/settings")).await.map_err(|e| gap(section, &e, GRANT_SETTINGS))?;
    let mut all = answers::settings(&envelope.result).map_err(|e| unreadable(section, &e))?;
    for id in SETTINGS_JUDGED {
        if all.iter().any(|s| s.id == id) {
            continue;
        }
        // A setting that this one answer lacks too stays unknown.
        if let Ok(envelope) = session.get(&format!("/zones/{zone}/settings/{id}")).await
            && let Ok(setting) = answers::one_setting(&envelope.result)
            && setting.id == id
        {
            all.push(setting);
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

/// A token of the account cannot be verified at the user's endpoint; the account has one of its own.
async fn token_status(session: &Session, verified: Result<Envelope, ApiError>, account: Option<&str>) -> Option<String> {
    let envelope = match (verified, account) {
        (Ok(envelope), _) => envelope,
        (Err(_), Some(account)) => session.get(&format!("/accounts/{account}/tokens/verify")).await.ok()?,
        (Err(_), None) => return None,
    };
    envelope.result["status"].as_str().map(str::to_owned)
}

async fn cache_rules(session: &Session, zone: &str) -> Seen<Vec<CacheRule>> {
    let section = Section::CdnCacheRules;
    match session.get(&format!("/zones/{zone}/rulesets/phases/http_request_cache_settings/entrypoint")).await {
        Ok(envelope) => answers::cache_rules(&envelope.result).map_err(|e| unreadable(section, &e)),
        // "could not find entrypoint ruleset": a zone that never had a cache rule.
        Err(ApiError::NotFound { code: 10_003 | 10_001, .. }) => Ok(Vec::new()),
        Err(e) => Err(gap(section, &e, GRANT_CACHE_RULES)),
    }
}

async fn page_rules(session: &Session, zone: &str) -> Seen<Vec<PageRule>> {
    let section = Section::CdnPageRules;
    let path = format!("/zones/{zone}/pagerules?status=active&order=priority&direction=desc");
    let envelope = session.get(&path).await.map_err(|e| gap(section, &e, GRANT_PAGE_RULES))?;
    answers::page_rules(&envelope.result).map_err(|e| unreadable(section, &e))
}

async fn tiered_cache(session: &Session, zone: &str) -> Seen<TieredCache> {
    let section = Section::CdnTieredCache;
    let tiered = session.get(&format!("/zones/{zone}/argo/tiered_caching")).await.map_err(|e| gap(section, &e, GRANT_SETTINGS))?;
    let is_on = |e: &Envelope| e.result["value"].as_str().map(|v| v == "on");
    let smart = session.get(&format!("/zones/{zone}/cache/tiered_cache_smart_topology_enable")).await;
    Ok(TieredCache {
        is_on: is_on(&tiered).ok_or_else(|| unreadable(section, "tiered caching has no value"))?,
        is_smart: smart.ok().as_ref().and_then(is_on),
        is_editable: tiered.result["editable"].as_bool().unwrap_or(true),
    })
}

/// A call's failure as a gap; refusals name the permission that is missing.
fn gap(section: Section, e: &ApiError, grant: &str) -> Gap {
    let cause = match e {
        ApiError::Denied { .. } => Cause::Denied { grant: format!("Give the API token {grant}.") },
        ApiError::TimedOut { limit_ms } => Cause::TimedOut { limit_ms: *limit_ms },
        ApiError::Unreachable(_) | ApiError::RateLimited { .. } => Cause::Unreachable,
        ApiError::NotFound { .. } | ApiError::Unreadable(_) | ApiError::Failed { .. } => Cause::Unreadable,
    };
    Gap::new(section, cause, e.to_string())
}

fn unreadable(section: Section, why: &str) -> Gap {
    Gap::new(section, Cause::Unreadable, format!("Cloudflare's {} could not be read: {why}.", section.name()))
}
