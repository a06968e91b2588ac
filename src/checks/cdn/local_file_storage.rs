//! Product pictures lie on the backend's own disk.

use crate::checks::http::{Verdict, answers, host, is_private_host, verdict};
use crate::checks::{Check, always};
use crate::evidence::medusa::MediaHost;
use crate::evidence::storefront::Storefront;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-local-file-storage",
    layer: Layer::Cdn,
    title: "Product pictures are served from the backend's own disk",
    passed: "Product pictures lie on object storage or a CDN.",
    why: "The local file provider keeps uploads in a folder of one machine and serves them through the Medusa process, without a useful \
          Cache-Control. Pictures compete with checkout requests, vanish with a new container, and are missing on every second instance.",
    remedy: "Move uploads to object storage with a CDN in front, and rewrite the stored addresses.",
    method: "Counts addresses of image.url and product.thumbnail of published products by host: those in the local provider's form \
             (/static/ or /uploads/ followed by a time stamp), in these folders of the backend, or on localhost. Fires on any; the severity rises with \
             their share, except in development environments. Addresses kept in old orders are not looked at.",
    effort: Effort::Days,
    references: &[
        "https://docs.medusajs.com/resources/infrastructure-modules/file/s3",
        "https://docs.medusajs.com/resources/infrastructure-modules/file/local",
    ],
    needs: &[Section::PgMedia],
    uses: &[Section::StorefrontMedia, Section::PgMedusa],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let mut media = snapshot.pg()?.media()?.clone();
    media.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.column, &a.host, &a.folder).cmp(&(&b.column, &b.host, &b.folder))));
    let shop = snapshot.shop().ok();
    let backend = shop.and_then(|s| s.backend_url.as_deref()).map(host);
    let local: Vec<&MediaHost> = media.iter().filter(|m| is_local(m, backend)).collect();
    if local.is_empty() {
        return Ok(Vec::new());
    }
    let total: u64 = media.iter().map(|m| m.count).sum();
    let probed = shop.map_or(Probed::NotAsked, |s| probed(s, &local));
    let is_development = matches!(snapshot.meta.environment.as_str(), "development" | "staging");
    Ok(vec![finding(&media, &local, total, probed, is_development, snapshot.medusa().ok().map(|m| m.major))])
}

fn is_local(media: &MediaHost, backend: Option<&str>) -> bool {
    if media.count == 0 {
        return false;
    }
    let on_backend = backend.is_some_and(|b| b == host(&media.host)) || media.host == "relative";
    media.local_form > 0 || (on_backend && matches!(media.folder.as_str(), "static" | "uploads")) || is_loopback(&media.host)
}

fn is_loopback(address: &str) -> bool {
    let name = host(address);
    name == "localhost" || name.ends_with(".localhost") || name.parse::<core::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What asking for one of the pictures told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probed {
    NotAsked,
    FromOrigin,
    FromCache,
}

fn probed(shop: &Storefront, local: &[&MediaHost]) -> Probed {
    let Ok(targets) = shop.media() else { return Probed::NotAsked };
    let is_ours = |url: &str| local.iter().any(|m| host(&m.host) == host(url));
    let mut seen = Probed::NotAsked;
    for target in targets.iter().filter(|t| is_ours(&t.url)) {
        if answers(target).any(|(_, a)| verdict(a) == Verdict::Hit) {
            return Probed::FromCache;
        }
        if answers(target).any(|(_, a)| a.status == 200) {
            seen = Probed::FromOrigin;
        }
    }
    seen
}

fn finding(media: &[MediaHost], local: &[&MediaHost], total: u64, probed: Probed, is_development: bool, major: Option<u8>) -> Finding {
    let count: u64 = local.iter().map(|m| if m.local_form > 0 { m.local_form.min(m.count) } else { m.count }).sum();
    let broken: u64 = local.iter().filter(|m| is_private_host(host(&m.host)) && m.host != "relative").map(|m| m.count).sum();
    let share = count as f64 / total.max(1) as f64;
    let severity = match (is_development, probed) {
        (true, _) => Severity::Info,
        // A cache in front carries the traffic; the disk is still one machine's.
        (false, Probed::FromCache) => Severity::Low,
        (false, _) => Severity::from_share(share),
    };
    let confidence = if probed == Probed::FromOrigin || broken > 0 { Confidence::High } else { Confidence::Medium };
    let because = match probed {
        Probed::FromOrigin => "counted in the database, and a picture came from the origin",
        Probed::FromCache => "counted in the database; a cache answered for a picture",
        Probed::NotAsked => "counted in the database; no picture was asked for",
    };
    let rows = media.iter().map(|m| {
        vec![
            Cell::text(m.column.clone()),
            Cell::text(if m.folder.is_empty() { m.host.clone() } else { format!("{}/{}", m.host, m.folder) }),
            Cell::number(m.count as f64, text::count(m.count)),
            Cell::number(m.local_form as f64, text::count(m.local_form)),
        ]
    });
    let broken_words = if broken > 0 { format!("; {} point to a host no shopper reaches", text::count(broken)) } else { String::new() };
    Finding {
        subject: Subject::new("host", local[0].host.clone()),
        observed: format!(
            "{} of {} ({}) lie on the backend's own disk{broken_words}.",
            text::count(count),
            text::plural(total, "picture address", "picture addresses"),
            text::percent(share)
        ),
        step: "Move uploads to object storage".to_owned(),
        evidence: vec![Evidence::table("Picture addresses by host", &["column", "host", "addresses", "in local form"], rows.collect())],
        severity,
        confidence,
        confidence_because: because.to_owned(),
        effort: Effort::Days,
        cost: Cost { resource: Resource::Bytes, share: if is_development { 0.0 } else { share } },
        gain: Some(Gain::new(Basis::RuleOfThumb, format!("{} of pictures moved", text::percent(share)))),
        averts: Some("pictures lost with a container or missing on a second instance".to_owned()),
        remedies: remedies(local, major),
        verify: "Run the audit again: no picture address is left in local form; a picture asked twice is a hit the second time.".to_owned(),
        touches: vec!["path:/static/*".to_owned(), "table:public.image".to_owned()],
    }
}

fn remedies(local: &[&MediaHost], major: Option<u8>) -> Vec<Remedy> {
    let v2 = Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Medusa 2: the S3 file provider".to_owned(),
        text: "// medusa-config.ts\nmodule.exports = defineConfig({\n  modules: [\n    {\n      resolve: \"@medusajs/medusa/file\",\n      options: {\n        providers: [\n          {\n\
               \x20           resolve: \"@medusajs/medusa/file-s3\",\n            id: \"s3\",\n            options: {\n              file_url: process.env.S3_FILE_URL, // the CDN's address, not the bucket's\n\
               \x20             access_key_id: process.env.S3_ACCESS_KEY_ID,\n              secret_access_key: process.env.S3_SECRET_ACCESS_KEY,\n              region: process.env.S3_REGION,\n\
               \x20             bucket: process.env.S3_BUCKET,\n              endpoint: process.env.S3_ENDPOINT,\n              cache_control: \"public, max-age=31536000\",\n            },\n          },\n        ],\n      },\n    },\n  ],\n})"
            .to_owned(),
        lock: None,
        risk: "Medium: applies to new uploads only; copy the folder and rewrite the addresses as well.".to_owned(),
        undo: Some("Remove the module entry: uploads go to the local folder again.".to_owned()),
    };
    let v1 = Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Medusa 1: the S3 plugin".to_owned(),
        text: "// medusa-config.js, after: npm install medusa-file-s3 (and without @medusajs/file-local)\nconst plugins = [\n  {\n    resolve: \"medusa-file-s3\",\n    options: {\n      s3_url: process.env.S3_URL,\n\
               \x20     bucket: process.env.S3_BUCKET,\n      region: process.env.S3_REGION,\n      access_key_id: process.env.S3_ACCESS_KEY_ID,\n      secret_access_key: process.env.S3_SECRET_ACCESS_KEY,\n\
               \x20     cache_control: \"public, max-age=31536000\",\n    },\n  },\n]"
            .to_owned(),
        lock: None,
        risk: "Medium: applies to new uploads only.".to_owned(),
        undo: Some("Put @medusajs/file-local back.".to_owned()),
    };
    let mut all = match major {
        Some(1) => vec![v1],
        Some(_) => vec![v2],
        None => vec![v2, v1],
    };
    all.push(rewrite(local[0]));
    all
}

fn rewrite(local: &MediaHost) -> Remedy {
    let folder = if local.folder.is_empty() { "static" } else { &local.folder };
    let from = if local.host == "relative" { format!("/{folder}/") } else { format!("{}/{folder}/", local.host) };
    let from = from.replace('\'', "''");
    let statement = |table: &str, column: &str, to: &str, from: &str| {
        format!("update {table} set {column} = '{to}' || substr({column}, length('{from}') + 1) where starts_with({column}, '{from}');")
    };
    let to = "https://media.example.com/";
    Remedy {
        kind: RemedyKind::Sql,
        label: "Rewrite the stored addresses, after copying the files".to_owned(),
        text: format!(
            "-- Put your CDN's address in place of {to}\nbegin;\n{}\n{}\ncommit;",
            statement("image", "url", to, &from),
            statement("product", "thumbnail", to, &from)
        ),
        lock: Some("Row locks on the changed rows; seconds for 100,000 pictures.".to_owned()),
        risk: "Medium: copy the files first (aws s3 sync static/ s3://bucket/) and check one address in a browser.".to_owned(),
        undo: Some("The same statements with both addresses exchanged.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(address: &str, folder: &str, local_form: u64, count: u64) -> MediaHost {
        MediaHost { column: "image.url".into(), host: address.into(), folder: folder.into(), local_form, count, example: String::new() }
    }

    #[test]
    fn the_local_form_and_the_backends_folders_are_local() {
        let backend = Some("api.example.com");
        assert!(is_local(&media("https://api.example.com", "static", 0, 5), backend));
        assert!(is_local(&media("https://old.example.com", "static", 3, 5), backend));
        assert!(is_local(&media("http://localhost:9000", "", 0, 1), backend));
        assert!(!is_local(&media("https://cdn.example.com", "static", 0, 5), backend));
        assert!(!is_local(&media("https://medusa-public-images.s3.eu-west-1.amazonaws.com", "", 0, 5), None));
        assert!(!is_local(&media("http://localhost:9000", "", 0, 0), backend));
    }

    #[test]
    fn severity_rises_with_the_share() {
        let of = |local: u64, total: u64, probed, is_development| {
            let ours = media("https://api.example.com", "static", local, local);
            let all = [ours.clone(), media("https://cdn.example.com", "", 0, total - local)];
            finding(&all, &[&ours], total, probed, is_development, Some(2))
        };
        assert_eq!(of(25, 100, Probed::FromOrigin, false).severity, Severity::High);
        assert_eq!(of(24, 100, Probed::NotAsked, false).severity, Severity::Medium);
        assert_eq!(of(4, 100, Probed::NotAsked, false).severity, Severity::Low);
        assert_eq!(of(100, 100, Probed::FromCache, false).severity, Severity::Low);
        assert_eq!(of(100, 100, Probed::NotAsked, true).severity, Severity::Info);
    }

    #[test]
    fn without_a_database_nothing_is_known() {
        use crate::checks::http::fixtures::shop;
        use crate::finding::Outcome;
        assert!(matches!(CHECK.run(&shop(vec![], vec![], vec![])), Outcome::Unknown(_)));
    }
}
