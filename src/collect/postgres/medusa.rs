//! What the tables tell of Medusa: version and media hosts. Public media addresses only.

use sqlx::FromRow;

use super::reader::{Reader, count};
use crate::connect::postgres::{medusa, quote_role};
use crate::evidence::medusa::{MediaHost, Medusa, Module};
use crate::evidence::postgres::quote;
use crate::evidence::{Cause, Gap, Section, Seen};

/// Addresses read a column; the `media_*.sql` files say the same.
const ADDRESSES_MAX: u64 = 10_000;

/// Which Medusa this is.
pub async fn installation(reader: &mut Reader<'_>) -> Seen<Medusa> {
    let found = medusa::detect(&mut reader.session).await.map_err(|e| reader.gap(Section::PgMedusa, &e))?;
    let Some(found) = found else {
        let remedy = "Choose the database named in the store's DATABASE_URL.".to_owned();
        let cause = Cause::Absent { feature: "Medusa's tables".to_owned(), remedy };
        return Err(Gap::new(
            Section::PgMedusa,
            cause,
            "This is not a Medusa database: neither the tables of version 1 nor those of version 2 are there.",
        ));
    };
    let module = |(name, table, is_present): (&str, &str, bool)| Module { name: name.to_owned(), table: table.to_owned(), is_present };
    Ok(Medusa {
        major: found.major,
        version: found.version,
        evidence: found.evidence,
        schema: found.schema,
        tables: found.tables,
        modules: found.modules.into_iter().map(module).collect(),
    })
}

#[derive(FromRow)]
struct AccessRow {
    table: String,
    column: String,
    is_readable: bool,
}

#[derive(FromRow)]
struct MediaRow {
    host: String,
    folder: String,
    local_form: i64,
    count: i64,
    example: String,
    read: i64,
}

/// Media addresses by host.
pub async fn media(reader: &mut Reader<'_>, medusa: &Seen<Medusa>) -> Seen<Vec<MediaHost>> {
    let medusa = medusa.as_ref().map_err(|g| Gap { section: Section::PgMedia, ..g.clone() })?;
    let schema = quote(&medusa.schema);
    let access: Vec<AccessRow> = reader.rows(Section::PgMedia, &named_schema(include_str!("sql/media_access.sql"), &schema)).await?;
    if access.iter().any(|a| !a.is_readable) {
        let cause = Cause::Denied { grant: media_grant(&access, &schema, reader.role()) };
        return Err(Gap::new(Section::PgMedia, cause, "The role may not read the addresses of images and thumbnails."));
    }
    let images = if medusa.major == 2 { include_str!("sql/media_images_v2.sql") } else { include_str!("sql/media_images_v1.sql") };
    let mut hosts = Vec::new();
    for (column, sample) in [("image.url", images), ("product.thumbnail", include_str!("sql/media_thumbnails.sql"))] {
        let sql = include_str!("sql/media.sql").replace("{sample}", sample).replace("{schema}", &schema);
        let rows: Vec<MediaRow> = reader.rows(Section::PgMedia, &sql).await?;
        if rows.iter().map(|r| count(r.read)).max().unwrap_or(0) >= ADDRESSES_MAX {
            reader.lane.activity(format!("Postgres media: only the first {ADDRESSES_MAX} addresses of {column} were read"));
        }
        hosts.extend(rows.into_iter().map(|r| host(column, r)));
    }
    Ok(hosts)
}

fn host(column: &str, r: MediaRow) -> MediaHost {
    MediaHost {
        column: column.to_owned(),
        host: r.host,
        folder: r.folder,
        local_form: count(r.local_form),
        count: count(r.count),
        example: r.example,
    }
}

fn media_grant(access: &[AccessRow], schema: &str, role: &str) -> String {
    let mut grants = Vec::new();
    for table in ["image", "product", "product_images"] {
        let columns: Vec<String> = access.iter().filter(|a| a.table == table).map(|a| quote(&a.column)).collect();
        if !columns.is_empty() {
            grants.push(format!("grant select ({}) on {schema}.{table} to {};", columns.join(", "), quote_role(role)));
        }
    }
    grants.join("\n")
}

/// The quoted schema inside a text literal.
pub(super) fn named_schema(sql: &str, quoted: &str) -> String {
    sql.replace("{schema}", &quoted.replace('\'', "''"))
}
