//! Which Medusa a database belongs to, told from its catalog and, where they may be read, from the names of its migrations.

use sqlx::FromRow;

use super::{QueryError, Session, releases};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// 1 or 2.
    pub major: u8,
    /// "2.13", "2.13.x" (an early patch of it), "2.16–2.17", "2.21 or newer", "2.x".
    pub version: String,
    pub evidence: String,
    pub schema: String,
    pub tables: u32,
    /// Module, its marker table, whether it exists; sorted by module.
    pub modules: Vec<(&'static str, &'static str, bool)>,
}

/// Present together only in v2.
const MARKERS_V2: [&str; 3] = ["link_module_migrations", "order_summary", "workflow_execution"];
/// Present together only in v1.
const MARKERS_V1: [&str; 3] = ["line_item", "money_amount", "staged_job"];

const MODULES_V2: [(&str, &str); 24] = [
    ("api-key", "api_key"),
    ("auth", "auth_identity"),
    ("cart", "cart"),
    ("currency", "currency"),
    ("customer", "customer"),
    ("fulfillment", "fulfillment"),
    ("index", "index_data"),
    ("inventory", "inventory_item"),
    ("notification", "notification"),
    ("order", "order"),
    ("payment", "payment"),
    ("pricing", "price_set"),
    ("product", "product"),
    ("promotion", "promotion"),
    ("rbac", "rbac_role"),
    ("region", "region"),
    ("sales-channel", "sales_channel"),
    ("settings", "view_configuration"),
    ("stock-location", "stock_location"),
    ("store", "store"),
    ("tax", "tax_region"),
    ("translation", "translation"),
    ("user", "user"),
    ("workflows", "workflow_execution"),
];

const MODULES_V1: [(&str, &str); 9] = [
    ("cart", "cart"),
    ("customer", "customer"),
    ("events", "staged_job"),
    ("idempotency", "idempotency_key"),
    ("inventory", "inventory_item"),
    ("order", "order"),
    ("pricing", "money_amount"),
    ("product", "product"),
    ("stock-location", "stock_location"),
];

#[derive(FromRow)]
struct SchemaRow {
    schema: String,
    tables: i32,
    names: Vec<String>,
    can_read_migrations: bool,
}

#[derive(FromRow)]
struct MigrationRow {
    name: String,
}

/// Looks for Medusa in the schemas of this database; `None` when there is none. Needs an open transaction.
pub async fn detect(session: &mut Session) -> Result<Option<Found>, QueryError> {
    let schemas: Vec<SchemaRow> = session.rows(include_str!("sql/medusa.sql")).await?;
    let Some((schema, major)) = schemas.iter().find_map(|s| major_of(&s.names).map(|m| (s, m))) else {
        return Ok(None);
    };
    let (version, evidence) = version(session, schema, major).await?;
    let modules: &[(&'static str, &'static str)] = if major == 2 { &MODULES_V2 } else { &MODULES_V1 };
    Ok(Some(Found {
        major,
        version,
        evidence,
        schema: schema.schema.clone(),
        tables: u32::try_from(schema.tables).unwrap_or(0),
        modules: modules.iter().map(|(m, t)| (*m, *t, schema.names.iter().any(|n| n == t))).collect(),
    }))
}

fn major_of(names: &[String]) -> Option<u8> {
    let all = |markers: &[&str]| markers.iter().all(|m| names.iter().any(|n| n == m));
    if all(&MARKERS_V2) {
        Some(2)
    } else if all(&MARKERS_V1) {
        Some(1)
    } else {
        None
    }
}

async fn version(session: &mut Session, schema: &SchemaRow, major: u8) -> Result<(String, String), QueryError> {
    let unknown = format!("{major}.x");
    let table = if major == 2 { "mikro_orm_migrations" } else { "migrations" };
    let markers = if major == 2 { MARKERS_V2 } else { MARKERS_V1 }.join(", ");
    if !schema.can_read_migrations {
        return Ok((unknown, format!("tables {markers}; the names of the migrations may not be read")));
    }
    let qualified = format!("\"{}\".{table}", schema.schema.replace('"', "\"\""));
    let rows: Vec<MigrationRow> = session.rows(&include_str!("sql/migrations.sql").replace("{table}", &qualified)).await?;
    let names: Vec<String> = rows.into_iter().map(|r| r.name).collect();
    Ok(releases::told(major, &names).unwrap_or_else(|newest| {
        let newest = newest.map_or_else(String::new, |n| format!(", the newest {n}"));
        (unknown, format!("tables {markers}; {} migrations{newest}, which no known release tells", names.len()))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_markers_are_needed() {
        let names = |n: &[&str]| n.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(major_of(&names(&MARKERS_V2)), Some(2));
        assert_eq!(major_of(&names(&MARKERS_V1)), Some(1));
        assert_eq!(major_of(&names(&["order_summary", "workflow_execution"])), None);
    }
}
