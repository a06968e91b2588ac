//! Buckets behind distributions and media hosts: where they lie, who may read them, and what headers their objects carry.

use std::collections::BTreeMap;
use std::time::Instant;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::Object;

use super::gap;
use crate::connect::aws::{AwsError, GLOBAL_REGION, Session, trouble};
use crate::evidence::cloudfront::{Bucket, ObjectHead, ObjectSample, PublicAccessBlock};
use crate::evidence::{Cause, Gap, Listed, Section, Seen};

/// Buckets that are read; a store has one or two. Each takes some 25 calls, about two seconds: what the time for reading allows.
const BUCKETS_MAX: usize = 20;
/// One page of a listing.
const OBJECTS_MAX: i32 = 1_000;
/// Objects whose headers are asked for, spread over folders and endings.
const HEADS_MAX: usize = 20;
const SECTION: Section = Section::S3Buckets;
/// Endings longer than this are parts of names.
const ENDING_CHARS_MAX: usize = 5;
/// Folders longer than this, or with a digit in them, may name a person, an order or a date: they are not kept.
const FOLDER_CHARS_MAX: usize = 20;

pub async fn read(session: &Session, names: Vec<String>, deadline: Instant) -> Seen<Listed<Bucket>> {
    let total = names.len();
    let mut rows = Vec::new();
    for name in names.into_iter().take(BUCKETS_MAX) {
        if Instant::now() > deadline {
            break;
        }
        rows.push(bucket(session, name, deadline).await);
    }
    // What the limit or the time left out is told: checks that found nothing in the others do not pass.
    let cut = Some((total - rows.len()) as u64);
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listed { rows, cut })
}

async fn bucket(session: &Session, name: String, deadline: Instant) -> Bucket {
    let region = region(session, &name).await.map_err(|e| gap(SECTION, &e));
    let place = region.as_ref().ok().map(String::as_str);
    let client = session.s3(place);
    let public_access = public_access(session, &client, &name).await.map_err(|e| gap(SECTION, &e));
    let has_public_policy = has_public_policy(session, &client, &name).await.map_err(|e| gap(SECTION, &e));
    let listed = list(session, &client, &name).await.map_err(|e| gap(SECTION, &e));
    let is_read_unsigned = match &listed {
        Ok((objects, _)) => is_read_unsigned(session, place, &name, objects).await,
        Err(gap) => Err(gap.clone()),
    };
    let objects = match listed {
        Ok((objects, is_whole)) => {
            let heads = heads(session, &client, &name, &objects, deadline).await.map_err(|e| gap(SECTION, &e));
            heads.map(|heads| ObjectSample { listed: objects.len() as u64, is_whole, heads })
        }
        Err(gap) => Err(gap),
    };
    Bucket { name, region, public_access, has_public_policy, is_read_unsigned, objects }
}

async fn region(session: &Session, name: &str) -> Result<String, AwsError> {
    session.called();
    let answer = session.s3(None).get_bucket_location().bucket(name).send().await;
    let answer = answer.map_err(|e| trouble("s3:GetBucketLocation", session.timeout_ms, &e))?;
    // The oldest regions have names of their own there: none, and "EU".
    Ok(match answer.location_constraint.as_ref().map(|l| l.as_str()) {
        None | Some("") => GLOBAL_REGION.to_owned(),
        Some("EU") => "eu-west-1".to_owned(),
        Some(region) => region.to_owned(),
    })
}

async fn public_access(session: &Session, client: &Client, name: &str) -> Result<PublicAccessBlock, AwsError> {
    const ACTION: &str = "s3:GetBucketPublicAccessBlock";
    session.called();
    let answer = client.get_public_access_block().bucket(name).send().await;
    match answer.map_err(|e| trouble(ACTION, session.timeout_ms, &e)) {
        Ok(answer) => {
            // A part that is left out of the block does not block.
            let is = |value: Option<bool>| value.unwrap_or(false);
            let unreadable = || AwsError::Unreadable { action: ACTION, why: "it holds no configuration".to_owned() };
            let c = answer.public_access_block_configuration.ok_or_else(unreadable)?;
            Ok(PublicAccessBlock {
                ignores_public_acls: is(c.ignore_public_acls),
                restricts_public_buckets: is(c.restrict_public_buckets),
                blocks_public_acls: is(c.block_public_acls),
                blocks_public_policy: is(c.block_public_policy),
            })
        }
        Err(AwsError::NotFound { code, .. }) if code == "NoSuchPublicAccessBlockConfiguration" => Ok(PublicAccessBlock::all(false)),
        Err(e) => Err(e),
    }
}

async fn has_public_policy(session: &Session, client: &Client, name: &str) -> Result<bool, AwsError> {
    const ACTION: &str = "s3:GetBucketPolicyStatus";
    session.called();
    let answer = client.get_bucket_policy_status().bucket(name).send().await;
    match answer.map_err(|e| trouble(ACTION, session.timeout_ms, &e)) {
        Ok(answer) => {
            let status = answer.policy_status.and_then(|s| s.is_public);
            status.ok_or_else(|| AwsError::Unreadable { action: ACTION, why: "it tells no status".to_owned() })
        }
        Err(AwsError::NotFound { code, .. }) if code == "NoSuchBucketPolicy" => Ok(false),
        Err(e) => Err(e),
    }
}

/// Objects without the markers of empty folders, and whether these were all.
async fn list(session: &Session, client: &Client, name: &str) -> Result<(Vec<Object>, bool), AwsError> {
    session.called();
    let answer = client.list_objects_v2().bucket(name).max_keys(OBJECTS_MAX).send().await;
    let answer = answer.map_err(|e| trouble("s3:ListBucket", session.timeout_ms, &e))?;
    let is_whole = answer.is_truncated == Some(false);
    let is_object = |o: &Object| o.key.as_deref().is_some_and(|k| !k.ends_with('/'));
    Ok((answer.contents.into_iter().flatten().filter(is_object).collect(), is_whole))
}

/// Asks for the headers of one object as a stranger.
async fn is_read_unsigned(session: &Session, region: Option<&str>, name: &str, objects: &[Object]) -> Seen<bool> {
    let Some(key) = spread(objects).first().and_then(|o| o.key.clone()) else {
        let cause = Cause::TooFew { have: 0, need: 1, what: "objects".into() };
        return Err(Gap::new(SECTION, cause, format!("The bucket {name} holds no object, so it is not known who may read one.")));
    };
    session.called();
    let answer = session.s3_unsigned(region).head_object().bucket(name).key(key).send().await;
    match answer.map_err(|e| trouble("s3:GetObject", session.timeout_ms, &e)) {
        Ok(_) => Ok(true),
        Err(AwsError::Denied { .. } | AwsError::NotFound { .. }) => Ok(false),
        Err(e) => Err(gap(SECTION, &e)),
    }
}

async fn heads(session: &Session, client: &Client, name: &str, objects: &[Object], deadline: Instant) -> Result<Vec<ObjectHead>, AwsError> {
    let mut heads = Vec::new();
    for object in spread(objects) {
        let Some(key) = &object.key else { continue };
        if Instant::now() > deadline {
            break;
        }
        session.called();
        let answer = client.head_object().bucket(name).key(key).send().await;
        let answer = match answer.map_err(|e| trouble("s3:GetObject", session.timeout_ms, &e)) {
            // Deleted since it was listed.
            Err(AwsError::NotFound { .. }) => continue,
            answer => answer?,
        };
        let bytes = answer.content_length.and_then(|n| u64::try_from(n).ok()).or_else(|| object.size.and_then(|n| u64::try_from(n).ok()));
        heads.push(ObjectHead {
            pattern: pattern(key),
            cache_control: answer.cache_control.filter(|c| !c.trim().is_empty()),
            content_type: answer.content_type,
            bytes: bytes.ok_or_else(|| AwsError::Unreadable { action: "s3:GetObject", why: "an object has no size".to_owned() })?,
        });
    }
    heads.sort_by(|a, b| (&a.pattern, a.bytes, &a.cache_control).cmp(&(&b.pattern, b.bytes, &b.cache_control)));
    Ok(heads)
}

/// The first of each pattern, then the second of each, until there are enough: every kind of object is looked at.
fn spread(objects: &[Object]) -> Vec<&Object> {
    let mut by_pattern: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
    for object in objects {
        if let Some(key) = &object.key {
            by_pattern.entry(pattern(key)).or_default().push(object);
        }
    }
    let longest = by_pattern.values().map(Vec::len).max().unwrap_or(0);
    let rounds = (0..longest).flat_map(|round| by_pattern.values().filter_map(move |o| o.get(round).copied()));
    rounds.take(HEADS_MAX).collect()
}

/// First folder and ending of a key: `products/*.jpg`.
fn pattern(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    let ending = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    let ending = ending.filter(|e| !e.is_empty() && e.len() <= ENDING_CHARS_MAX && e.chars().all(|c| c.is_ascii_alphanumeric()));
    let folder = key.split_once('/').map(|(folder, _)| folder);
    let is_word = |f: &&str| f.len() <= FOLDER_CHARS_MAX && f.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_'));
    let folder = folder.map(|f| Some(f).filter(is_word).unwrap_or("<folder>"));
    let ending = ending.map_or_else(String::new, |e| format!(".{e}"));
    folder.map_or_else(|| format!("*{ending}"), |f| format!("{f}/*{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_folder_and_ending_only() {
        for (key, wanted) in [
            ("products/2026/red-shirt.JPG", "products/*.jpg"),
            ("shirt-01HXYZ.webp", "*.webp"),
            ("jane.doe@example.com/invoice.pdf", "<folder>/*.pdf"),
            ("01HXYZABCDEF/a.png", "<folder>/*.png"),
            ("static/readme", "static/*"),
            ("a/b.verylongending", "a/*"),
        ] {
            assert_eq!(pattern(key), wanted, "{key}");
        }
    }

    #[test]
    fn every_kind_of_object_is_sampled() {
        let keys = (0..500).map(|n| format!("products/{n:03}.jpg")).chain(["fonts/a.woff2".to_owned()]);
        let objects: Vec<Object> = keys.map(|k| Object::builder().key(k).size(1).build()).collect();
        let sample = spread(&objects);
        assert_eq!(sample.len(), HEADS_MAX);
        assert!(sample.iter().any(|o| o.key.as_deref() == Some("fonts/a.woff2")));
    }
}
