//! Product pictures are addressed at the bucket itself.

use crate::checks::http::{answers, edge, host};
use crate::checks::{Check, always};
use crate::evidence::medusa::MediaHost;
use crate::evidence::storefront::{PathClass, Storefront};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-media-bypasses-cdn",
    layer: Layer::Cdn,
    title: "Product pictures are addressed at the bucket, past the CDN",
    passed: "Product pictures are addressed at a host that a CDN answers for.",
    why: "A bucket's own address is answered from one region, over HTTP/1.1, without a cache near the shopper, and each byte is charged at the dearest rate. The \
          addresses are kept in the database, so every picture goes that way until they are rewritten.",
    remedy: "Put a CDN host in front of the bucket, write it into the file module's file_url, and rewrite the stored addresses.",
    method: "Counts image.url and product.thumbnail of published products by host; fires on the buckets' own hosts (S3, Google Cloud Storage, R2, Spaces, Azure, B2, \
             Wasabi, Linode, Vultr, Scaleway, Hetzner) unless a CDN was seen to answer there. Info where the pages show pictures through /_next/image only: then the \
             optimiser alone reads the bucket. Medusa's own demo pictures are left out.",
    effort: Effort::Hours,
    references: &[
        "https://docs.medusajs.com/resources/infrastructure-modules/file/s3",
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/GettingStarted.SimpleDistribution.html",
        "https://developers.cloudflare.com/r2/buckets/public-buckets/",
    ],
    needs: &[Section::PgMedia],
    uses: &[Section::StorefrontMedia, Section::StorefrontAssets, Section::PgMedusa],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Endings of the buckets' own hosts.
const BUCKETS: [&str; 10] = [
    ".storage.googleapis.com",
    ".r2.cloudflarestorage.com",
    // Cloudflare answers there, yet limits the rate and caches nothing: it is for development, as its documentation says.
    ".r2.dev",
    ".blob.core.windows.net",
    ".backblazeb2.com",
    ".wasabisys.com",
    ".linodeobjects.com",
    ".vultrobjects.com",
    ".scw.cloud",
    ".your-objectstorage.com",
];
/// Pictures that Medusa's seed script names.
const DEMO_BUCKET: &str = "medusa-public-images.s3.";
/// Pictures are most of a shop's bytes.
const SHARE_OF_BYTES: f64 = 0.5;
/// One picture of a host tells of all: this share of the addresses is worth a step of its own.
const SHARE_MIN: f64 = 0.05;

/// The bucket's own host, not a CDN's in front of it.
pub fn is_bucket(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let is_s3 = host.ends_with(".amazonaws.com") && host.split('.').any(|part| part == "s3" || part.starts_with("s3-"));
    let is_spaces = host.ends_with(".digitaloceanspaces.com") && !host.contains(".cdn.");
    is_s3 || is_spaces || host == "storage.googleapis.com" || BUCKETS.iter().any(|b| host.ends_with(b))
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let media = snapshot.pg()?.media()?;
    let shop = snapshot.shop().ok();
    let total: u64 = media.iter().map(|m| m.count).sum();
    let is_raw = |m: &&MediaHost| m.count > 0 && is_bucket(host(&m.host)) && !host(&m.host).starts_with(DEMO_BUCKET);
    let mut raw: Vec<&MediaHost> = media.iter().filter(is_raw).filter(|m| !shop.is_some_and(|s| is_behind_cdn(s, host(&m.host)))).collect();
    raw.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.host, &a.column, &a.folder).cmp(&(&b.host, &b.column, &b.folder))));
    let count: u64 = raw.iter().map(|m| m.count).sum();
    let share = count as f64 / total.max(1) as f64;
    Ok(if raw.is_empty() || share < SHARE_MIN { Vec::new() } else { vec![finding(snapshot, &raw, count, share)] })
}

fn is_behind_cdn(shop: &Storefront, name: &str) -> bool {
    let asked = shop.media().ok().into_iter().flatten().filter(|t| host(&t.url) == name);
    !name.ends_with(".r2.dev") && asked.flat_map(answers).any(|(_, a)| edge(a).is_some())
}

/// The pages show pictures, all of them through the optimiser.
fn is_optimized(shop: &Storefront, name: &str) -> bool {
    let Ok(assets) = shop.assets() else { return false };
    assets.iter().any(|t| t.class == PathClass::OptimizedImage) && !assets.iter().any(|t| host(&t.url) == name)
}

fn finding(snapshot: &Snapshot, raw: &[&MediaHost], count: u64, share: f64) -> Finding {
    let name = host(&raw[0].host).to_owned();
    let shop = snapshot.shop().ok();
    let is_hidden = shop.is_some_and(|s| is_optimized(s, &name));
    let was_asked = shop.and_then(|s| s.media().ok()).is_some_and(|all| all.iter().any(|t| host(&t.url) == name && answers(t).next().is_some()));
    let rows = raw.iter().map(|m| {
        vec![
            Cell::text(m.column.clone()),
            Cell::text(if m.folder.is_empty() { m.host.clone() } else { format!("{}/{}", m.host, m.folder) }),
            Cell::number(m.count as f64, text::count(m.count)),
            Cell::text(m.example.clone()),
        ]
    });
    let seen = if is_hidden { "; the pages show them through /_next/image" } else { "" };
    Finding {
        subject: Subject::new("host", name.clone()),
        observed: format!(
            "{} ({}) of published products lie at the bucket's own host {name}{seen}.",
            text::plural(count, "address", "addresses"),
            text::percent(share)
        ),
        step: "Address pictures at a CDN host".to_owned(),
        evidence: vec![Evidence::table("Addresses by host", &["column", "host", "addresses", "example"], rows.collect())],
        severity: if is_hidden { Severity::Info } else { Severity::from_share(share * SHARE_OF_BYTES).min(Severity::Medium) },
        confidence: if was_asked { Confidence::High } else { Confidence::Medium },
        confidence_because: if was_asked {
            "counted in the database, and no CDN showed in the answer".to_owned()
        } else {
            "counted in the database; the host was not asked".to_owned()
        },
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Bytes, share: if is_hidden { 0.0 } else { share * SHARE_OF_BYTES } },
        gain: None,
        averts: None,
        remedies: remedies(snapshot.medusa().ok().map(|m| m.major), raw[0]),
        verify: "Audit again: the addresses name the CDN host, and its second answer is a hit.".to_owned(),
        touches: vec!["traffic:media".to_owned()],
    }
}

fn remedies(major: Option<u8>, media: &MediaHost) -> Vec<Remedy> {
    let two = Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Medusa 2: new uploads at the CDN host".to_owned(),
        text: "// medusa-config.ts; media.example.com is the CDN's host in front of the bucket\nmodule.exports = defineConfig({\n  modules: [\n    {\n      resolve: \"@medusajs/medusa/file\",\n      \
               options: {\n        providers: [\n          {\n            resolve: \"@medusajs/medusa/file-s3\",\n            id: \"s3\",\n            options: {\n              \
               file_url: \"https://media.example.com\",\n              access_key_id: process.env.S3_ACCESS_KEY_ID,\n              secret_access_key: process.env.S3_SECRET_ACCESS_KEY,\n              \
               region: process.env.S3_REGION,\n              bucket: process.env.S3_BUCKET,\n              cache_control: \"public, max-age=31536000, immutable\",\n            },\n          },\n        ],\n      },\n    },\n  ],\n})"
            .to_owned(),
        lock: None,
        risk: "Low: uploads get a new name each, so that a year in caches is safe.".to_owned(),
        undo: Some("Restore file_url.".to_owned()),
    };
    let one = Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Medusa 1: new uploads at the CDN host".to_owned(),
        text: "// medusa-config.js\nconst plugins = [\n  {\n    resolve: \"medusa-file-s3\",\n    options: {\n      s3_url: \"https://media.example.com\",\n      bucket: process.env.S3_BUCKET,\n      \
               region: process.env.S3_REGION,\n      access_key_id: process.env.S3_ACCESS_KEY_ID,\n      secret_access_key: process.env.S3_SECRET_ACCESS_KEY,\n      \
               cache_control: \"public, max-age=31536000, immutable\",\n    },\n  },\n]"
            .to_owned(),
        lock: None,
        risk: "Low: as above.".to_owned(),
        undo: Some("Restore s3_url.".to_owned()),
    };
    let mut all = match major {
        Some(1) => vec![one],
        Some(_) => vec![two],
        None => vec![two, one],
    };
    all.push(rewrite(&media.host));
    all
}

/// The stored addresses move to the new host; reviewed and run by a person, table by table.
fn rewrite(from: &str) -> Remedy {
    let from = from.trim_end_matches('/').replace('\'', "''");
    let table = |table: &str, column: &str| {
        format!("update {table} set {column} = replace({column}, '{from}/', 'https://media.example.com/')\n  where {column} like '{from}/%';")
    };
    Remedy {
        kind: RemedyKind::Sql,
        label: "Rewrite the stored addresses, once the CDN host answers".to_owned(),
        text: format!(
            "-- Look first: both addresses of one picture must show it. Replace media.example.com by your CDN host.\nbegin;\n{}\n{}\n\
             select count(*) from image where url like '{from}/%'; -- 0\ncommit;",
            table("image", "url"),
            table("product", "thumbnail")
        ),
        lock: Some("Row locks on image and product while it runs; readers go on.".to_owned()),
        risk: "Medium: addresses in old orders stay as they are on purpose; caches of product data show the old ones until they expire.".to_owned(),
        undo: Some(format!("The same with both hosts exchanged: '{from}/' and 'https://media.example.com/'.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_told_from_cdn_hosts() {
        for raw in [
            "shop.s3.eu-west-1.amazonaws.com",
            "s3.amazonaws.com",
            "shop.s3-eu-west-1.amazonaws.com",
            "storage.googleapis.com",
            "shop.storage.googleapis.com",
            "shop.fra1.digitaloceanspaces.com",
            "pub-1a2b.r2.dev",
            "account.r2.cloudflarestorage.com",
            "shop.blob.core.windows.net",
            "f003.backblazeb2.com",
        ] {
            assert!(is_bucket(raw), "{raw}");
        }
        for cdn in [
            "d111111abcdef8.cloudfront.net",
            "shop.fra1.cdn.digitaloceanspaces.com",
            "media.example.com",
            "s3.example.com",
            "shop.azureedge.net",
            "lambda.amazonaws.com",
            "shop.supabase.co",
        ] {
            assert!(!is_bucket(cdn), "{cdn}");
        }
    }

    #[test]
    fn the_rewrite_keeps_quotes_closed() {
        assert!(rewrite("https://it's.example/").text.contains("'https://it''s.example/'"));
    }
}
