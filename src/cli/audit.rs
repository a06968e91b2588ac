//! `medusa-advisor audit`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use url::Url;

use super::progress::Progress;
use super::{AuditArgs, Ended, Format, output, terminal};
use crate::audit;
use crate::collect::run::Run;
use crate::connect::profile::{
    self, CloudFrontProfile, CloudflareProfile, Environment, FixedAddress, KeepSecrets, Limits, PostgresProfile, Profile, Secrets, ShopProfile,
    parse_postgres, parse_redis, parse_shop, sentinel_password,
};
use crate::connect::shop::Shop;
use crate::connect::stores::{self, Places, write_whole};
use crate::connect::vault;
use crate::evidence::{Snapshot, Targets};
use crate::history::{self, Summary};
use crate::plan::score::LayerStatus;
use crate::plan::{self, Dismissal, Plan};
use crate::report::{Options, Report, json, markdown};
use crate::secret::Secret;

pub fn perform(args: AuditArgs) -> anyhow::Result<Ended> {
    output::check_endings(&args.out)?;
    let (mut profile, secrets, is_saved) = store(&args)?;
    if let Some(window) = args.window {
        profile.limits.window_s = u32::try_from(window.as_secs()).context("the window is too long")?;
    }
    if let (Some(postgres), Some(bytes)) = (&mut profile.postgres, args.postgres_memory) {
        postgres.memory_bytes = Some(bytes);
    }
    fix_addresses(&mut profile, &args.resolve)?;
    leave_out_layers(&mut profile, &args);
    say_what_is_not_read(&args);
    let window = Duration::from_secs(u64::from(profile.limits.window_s));
    let progress = Progress::new(args.quiet, window);
    let run = Run::new(window, {
        let progress = Arc::clone(&progress);
        move |note| progress.hear(&note)
    });
    let request = audit::request(profile.clone(), secrets, Targets::default());
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("no threads could be started")?;
    let snapshot = tokio.block_on(collect_until_interrupted(&request, &run));
    progress.finish();
    let dismissals = if is_saved { dismissals(&profile.id)? } else { Vec::new() };
    let plan = plan::build(&snapshot, &dismissals, |check| plan::is_selected(check, &args.only, &args.skip));
    say_what_was_not_reached(&plan);
    let kept = if is_saved { keep(&profile, &snapshot, &plan) } else { Ok(()) };
    print(&args, &snapshot, &plan);
    output::write_reports(&snapshot, &plan, &args.out)?;
    kept?;
    Ok(ended(&args, &plan))
}

/// Ctrl-C ends the window early; what was read is reported and marked cancelled.
async fn collect_until_interrupted(request: &crate::collect::Request, run: &Arc<Run>) -> Snapshot {
    let watcher = tokio::spawn({
        let run = Arc::clone(run);
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                eprintln!("Interrupted: reporting what was read.");
                run.cancel();
            }
        }
    });
    let snapshot = crate::collect::collect(request, run).await;
    watcher.abort();
    snapshot
}

fn store(args: &AuditArgs) -> anyhow::Result<(Profile, Secrets, bool)> {
    match &args.store {
        Some(name) => saved_store(name).map(|(p, s)| (p, s, true)),
        None => given_store(args).map(|(p, s)| (p, s, false)),
    }
}

fn saved_store(name: &str) -> anyhow::Result<(Profile, Secrets)> {
    let places = Places::of_user().context("this system names no home folder; set MEDUSA_ADVISOR_HOME")?;
    let listing = stores::list(&places).context("the saved stores could not be read")?;
    let known = listing.profiles.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(", ");
    let profile = listing.profiles.into_iter().find(|p| p.id == name || p.name == name).with_context(|| match known.is_empty() {
        true => format!("no store named {name}: none is saved yet. Open the window to set one up, or give --postgres, --redis, --backend"),
        false => format!("no store named {name}. Saved are: {known}"),
    })?;
    let env = audit::secrets_of_environment(&profile);
    if profile.keep_secrets != KeepSecrets::Keychain || has_all(&profile, &env) {
        return Ok((profile, env));
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no threads could be started")?;
    let secrets = match tokio.block_on(vault::read(&profile)) {
        Ok(kept) => over(env, kept),
        // CI has no keychain: what the environment gives may be all that is needed.
        Err(e) if env.has_any() => {
            eprintln!("{e} Only the secrets of the environment are used.");
            env
        }
        Err(e) => {
            bail!("{e} Unlock it, or set PGPASSWORD, MEDUSA_ADVISOR_REDIS_PASSWORD, MEDUSA_ADVISOR_SENTINEL_PASSWORD or CLOUDFLARE_API_TOKEN instead")
        }
    };
    Ok((profile, secrets))
}

/// Nothing is left for the keychain to give.
fn has_all(profile: &Profile, env: &Secrets) -> bool {
    (profile.postgres.is_none() || env.postgres_password.is_some())
        && env.has_all_of_redis(profile)
        && (profile.cloudflare.is_none() || env.cloudflare_token.is_some())
}

/// The environment wins.
fn over(env: Secrets, kept: Secrets) -> Secrets {
    Secrets {
        // PGPASSWORD is every node's password.
        node_passwords: if env.postgres_password.is_some() { Vec::new() } else { kept.node_passwords },
        postgres_password: env.postgres_password.or(kept.postgres_password),
        redis_passwords: each_or(env.redis_passwords, kept.redis_passwords),
        sentinel_passwords: each_or(env.sentinel_passwords, kept.sentinel_passwords),
        cloudflare_token: env.cloudflare_token.or(kept.cloudflare_token),
    }
}

fn each_or(first: Vec<Option<Secret<String>>>, second: Vec<Option<Secret<String>>>) -> Vec<Option<Secret<String>>> {
    first.into_iter().zip(second).map(|(first, second)| first.or(second)).collect()
}

fn given_store(args: &AuditArgs) -> anyhow::Result<(Profile, Secrets)> {
    let mut redis = Vec::new();
    let (mut redis_urls, mut sentinel_urls) = (Vec::new(), Vec::new());
    for url in &args.redis {
        let (profile, password) = parse_redis(url).with_context(|| "--redis".to_owned())?;
        redis.push(profile);
        redis_urls.push(password);
        sentinel_urls.push(sentinel_password(url));
    }
    let (postgres, password, node_passwords) = given_postgres(&args.postgres)?;
    let shop_url = |url: &Option<String>| url.as_deref().map(|u| parse_shop(u).map(|u| u.to_string())).transpose();
    let (storefront_url, backend_url) = (shop_url(&args.storefront).context("--storefront")?, shop_url(&args.backend).context("--backend")?);
    let shop = (storefront_url.is_some() || backend_url.is_some()).then(|| ShopProfile {
        storefront_url,
        backend_url,
        publishable_key: args.publishable_key.clone(),
        resolve: Vec::new(),
    });
    let cloudflare = args.cloudflare_zone.clone().map(|zone| CloudflareProfile { zone, base_url: std::env::var("CLOUDFLARE_BASE_URL").ok() });
    let cloudfront = given_cloudfront(&args.cloudfront);
    let nothing = postgres.is_none() && redis.is_empty() && shop.is_none() && cloudflare.is_none() && cloudfront.is_none();
    if nothing {
        bail!(
            "nothing to audit: give --store NAME, or at least one of --postgres, --redis, --backend, --storefront, --cloudflare-zone, --cloudfront"
        );
    }
    let name =
        postgres.as_ref().map(|p| p.database.clone()).or_else(|| cloudflare.as_ref().map(|c| c.zone.clone())).unwrap_or_else(|| "store".to_owned());
    let profile = Profile {
        id: profile::new_id(&name, &[]),
        name,
        environment: Environment::Production,
        postgres,
        redis,
        cloudflare,
        cloudfront,
        shop,
        keep_secrets: KeepSecrets::Environment,
        limits: Limits::default(),
    };
    let env = audit::secrets_of_environment(&profile);
    let secrets = Secrets {
        postgres_password: password.or(env.postgres_password),
        node_passwords,
        redis_passwords: each_or(redis_urls, env.redis_passwords),
        sentinel_passwords: each_or(sentinel_urls, env.sentinel_passwords),
        cloudflare_token: env.cloudflare_token,
    };
    Ok((profile, secrets))
}

fn given_cloudfront(ids: &[String]) -> Option<CloudFrontProfile> {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").ok().filter(|v| !v.is_empty());
    (!ids.is_empty()).then(|| CloudFrontProfile { distributions: ids.to_vec(), endpoint, ..CloudFrontProfile::default() })
}

/// The first address is the store's, the others its nodes. A node's address without a password takes the first one's, or `PGPASSWORD`.
type GivenPostgres = (Option<PostgresProfile>, Option<Secret<String>>, Vec<Option<Secret<String>>>);

fn given_postgres(urls: &[String]) -> anyhow::Result<GivenPostgres> {
    let mut parsed = Vec::with_capacity(urls.len());
    for url in urls {
        let (profile, password) = parse_postgres(url).context("--postgres")?;
        parsed.push((audit::with_environment(profile, url), password));
    }
    let mut parsed = parsed.into_iter();
    let Some((mut store, password)) = parsed.next() else { return Ok((None, None, Vec::new())) };
    let (nodes, node_passwords) = parsed.map(|(node, password)| (node.as_node_of(&store), password)).unzip();
    store.nodes = nodes;
    Ok((Some(store), password, node_passwords))
}

/// Those of the command line take the place of the store's own.
fn fix_addresses(profile: &mut Profile, resolve: &[FixedAddress]) -> anyhow::Result<()> {
    if resolve.is_empty() {
        return Ok(());
    }
    let Some(shop) = &mut profile.shop else {
        bail!("--resolve gives the address of a storefront or backend: name one with --storefront or --backend")
    };
    shop.resolve = resolve.to_vec();
    let opened = Shop::from_profile(shop).map_err(anyhow::Error::msg).context("--resolve")?;
    let own: Vec<&str> = opened.storefront.iter().chain(&opened.backend).filter_map(Url::host_str).collect();
    for fixed in resolve.iter().filter(|f| !own.contains(&f.host.as_str())) {
        eprintln!("--resolve {fixed}: the storefront and the backend are elsewhere ({}), so this is for media and redirects only.", own.join(", "));
    }
    Ok(())
}

/// A layer that nobody asks about is not contacted. The database stays: application and media checks read it.
fn leave_out_layers(profile: &mut Profile, args: &AuditArgs) {
    let skipped = |layer: &str| args.skip.iter().any(|s| s == layer);
    if skipped("redis") {
        profile.redis.clear();
    }
    if skipped("cdn") {
        profile.cloudflare = None;
        profile.cloudfront = None;
    }
    if skipped("postgres") && skipped("app") {
        profile.postgres = None;
    }
}

fn say_what_is_not_read(args: &AuditArgs) {
    let unread = [("--source", args.source.is_some()), ("--http-log", !args.http_log.is_empty())];
    for (flag, _) in unread.iter().filter(|(_, given)| *given) {
        eprintln!("{flag} is not read by this version: nothing of it is in the report.");
    }
}

fn say_what_was_not_reached(plan: &Plan) {
    for layer in plan.layers.iter().filter(|l| l.status == LayerStatus::Unreachable) {
        eprintln!("{} was not audited. {}", layer.layer.name(), layer.note.as_deref().unwrap_or_default());
    }
}

fn dismissals(id: &str) -> anyhow::Result<Vec<Dismissal>> {
    let Some(places) = Places::of_user() else { return Ok(Vec::new()) };
    match std::fs::read(places.dismissals(id)) {
        Err(_) => Ok(Vec::new()),
        Ok(bytes) => serde_json::from_slice(&bytes).context("the dismissals of this store could not be read"),
    }
}

fn keep(profile: &Profile, snapshot: &Snapshot, plan: &Plan) -> anyhow::Result<()> {
    let places = Places::of_user().context("this system names no home folder, so the audit was not kept")?;
    let summary = Summary::of(snapshot, plan);
    history::save(&places.audits(&profile.id), snapshot, &summary, write_whole).context("the audit could not be kept")?;
    Ok(())
}

fn print(args: &AuditArgs, snapshot: &Snapshot, plan: &Plan) {
    let report = || Report::build(snapshot, plan, &Options::whole(&snapshot.meta.store));
    match args.format {
        Format::Json => output::print(&json::render(&report())),
        Format::Md => output::print(&markdown::render(&report())),
        Format::Text if !args.quiet || args.out.is_empty() => output::print(&terminal::summary(snapshot, plan)),
        Format::Text => {}
    }
}

fn ended(args: &AuditArgs, plan: &Plan) -> Ended {
    let audited = plan.layers.iter().any(|l| matches!(l.status, LayerStatus::Audited | LayerStatus::Partial));
    match (audited, args.fail_on.bar(), plan.worst()) {
        (false, ..) => Ended::NothingAudited,
        (true, Some(bar), Some(worst)) if worst >= bar => Ended::Found,
        _ => Ended::Well,
    }
}
