//! A lost stock index made again: its SQL under its own name, and the command that Medusa itself has for some.

use crate::checks::medusa::StockIndex;
use crate::evidence::postgres::{Index, Table, quote};
use crate::finding::{Remedy, RemedyKind};
use crate::text;

/// Bits of `pg_index.indoption`.
const DESCENDING: u8 = 1;
const NULLS_FIRST: u8 = 2;

/// `product_id, rank desc`: key columns as SQL has them.
pub fn columns(stock: &StockIndex) -> String {
    let key = |(at, column): (usize, &String)| {
        let mut text = column.clone();
        if let Some(opclass) = stock.opclasses.get(at).and_then(Option::as_ref) {
            text = format!("{text} {opclass}");
        }
        let options = stock.options.get(at).copied().unwrap_or_default();
        let is_descending = options & DESCENDING != 0;
        if is_descending {
            text.push_str(" desc");
        }
        // Nulls come first in descending order and last in ascending order unless it is said.
        match (is_descending, options & NULLS_FIRST != 0) {
            (true, false) => text.push_str(" nulls last"),
            (false, true) => text.push_str(" nulls first"),
            _ => {}
        }
        text
    };
    stock.columns.iter().enumerate().map(key).collect::<Vec<_>>().join(", ")
}

/// Runnable as it stands, outside a transaction.
pub fn create_sql(stock: &StockIndex, schema: &str) -> String {
    let table = format!("{}.{}", quote(schema), quote(&stock.table));
    let (name, columns) = (quote(&stock.name), columns(stock));
    let unique = if stock.unique { "unique " } else { "" };
    let using = stock.method.as_ref().map(|m| format!(" using {m}")).unwrap_or_default();
    let predicate = stock.predicate.as_ref().map(|p| format!(" where {p}")).unwrap_or_default();
    let create = format!("create {unique}index concurrently {name} on {table}{using} ({columns}){predicate};");
    match stock.constraint.as_deref() {
        Some("p") => format!("{create}\nalter table {table} add constraint {name} primary key using index {name};"),
        Some("u") => format!("{create}\nalter table {table} add constraint {name} unique using index {name};"),
        _ => create,
    }
}

pub fn create_remedy(stock: &StockIndex, table: &Table) -> Remedy {
    let name = format!("{}.{}", quote(&table.schema), quote(&stock.name));
    let constraint = if stock.constraint.is_some() { " The constraint then takes ACCESS EXCLUSIVE for a moment." } else { "" };
    let doubt = if stock.unique { " It fails while duplicates exist, and leaves an invalid index: remove both and build again." } else { "" };
    let undo = match &stock.constraint {
        Some(_) => format!("alter table {} drop constraint {};", table.full_name(), quote(&stock.name)),
        None => format!("drop index concurrently {name};"),
    };
    Remedy {
        kind: RemedyKind::Sql,
        label: "Create the index as Medusa has it".to_owned(),
        text: create_sql(stock, &table.schema),
        lock: Some(format!(
            "SHARE UPDATE EXCLUSIVE on {}: reads and writes go on; {} are read twice.{constraint}",
            table.name,
            text::bytes_disk(table.table_bytes)
        )),
        risk: format!(
            "None for later migrations: it bears the name they know. Medusa's own db:migrate does not bring it back, as its migration counts as run.{doubt}"
        ),
        undo: Some(undo),
    }
}

pub fn rebuild_remedy(index: &Index) -> Remedy {
    let doubt = if index.is_unique { " It fails while duplicates exist: remove them first." } else { "" };
    Remedy {
        kind: RemedyKind::Sql,
        label: "Rebuild the index".to_owned(),
        text: format!("reindex index concurrently {};", index.full_name()),
        lock: Some(format!("SHARE UPDATE EXCLUSIVE on {}: reads and writes go on; it waits for open transactions.", index.table)),
        risk: format!("Needs room for a second copy while it builds.{doubt}"),
        undo: None,
    }
}

/// Link tables are made from the definitions of links, not by migrations, and the command compares them each time.
pub fn sync_links_remedy(table: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: "Or let Medusa make it".to_owned(),
        text: "npx medusa db:sync-links".to_owned(),
        lock: Some(format!("SHARE on {table} while it builds: writes to it wait.")),
        risk: "It also asks about links that are no longer defined: do not let it delete tables you need.".to_owned(),
        undo: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(json: &str) -> StockIndex {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_sql_has_every_part() {
        let text = |json: &str| create_sql(&stock(json), "public");
        assert_eq!(
            text(r#"{"table":"image","name":"IDX_image_product_id","columns":["product_id"],"predicate":"deleted_at IS NULL"}"#),
            "create index concurrently \"IDX_image_product_id\" on public.image (product_id) where deleted_at IS NULL;"
        );
        assert_eq!(
            text(r#"{"table":"order","name":"a","columns":["x","y","z"],"unique":true,"options":[3,0,2]}"#),
            "create unique index concurrently a on public.\"order\" (x desc, y, z nulls first);"
        );
        assert_eq!(
            text(r#"{"table":"product","name":"g","columns":["title"],"method":"gin","opclasses":["gin_trgm_ops"]}"#),
            "create index concurrently g on public.product using gin (title gin_trgm_ops);"
        );
        assert_eq!(
            text(r#"{"table":"product","name":"PK_1","columns":["id"],"unique":true,"constraint":"p"}"#),
            "create unique index concurrently \"PK_1\" on public.product (id);\nalter table public.product add constraint \"PK_1\" primary key using index \"PK_1\";"
        );
    }
}
