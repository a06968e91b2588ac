//! Remedies that delete many rows: in batches, each a transaction of its own, by primary key, safe to stop at any moment.

use std::fmt::Write as _;

use crate::evidence::postgres::{Constraint, Index, quote};
use crate::evidence::{Gap, Snapshot};
use crate::finding::{Remedy, RemedyKind};

/// Rows a transaction: some tens of milliseconds of locks.
pub const BATCH_ROWS: u32 = 2_000;
/// Finding the children of a deleted row by reading the whole table costs more than a look-up from about this many rows on.
const CHILD_ROWS_MIN: u64 = 1_000;
/// Of an identifier; Postgres cuts longer names.
const NAME_BYTES_MAX: usize = 63;

/// What is said of every such remedy.
pub const LOCK: &str = "ROW EXCLUSIVE: reads and writes go on. Only the rows of one batch are locked, rows in use are left for the next run.";
pub const RISK: &str = "It writes WAL and leaves dead rows for vacuum. It may be stopped at any moment: batches already committed stay deleted, and \
                        running it again goes on. Where the role has a statement_timeout, the whole run counts as one statement.";
pub const UNDO: &str = "None: take a backup first (pg_dump of the table).";

/// A block that deletes the rows of one table for which `condition` (over the alias `t`) holds, but those for which one of `sparing`
/// does not. What is spared is looked up for the rows of a batch alone: beside the condition it could read other tables whole, each time.
pub fn in_batches(relation: &str, keys: &[String], condition: &str, sparing: &[String]) -> String {
    let list = |prefix: &str| keys.iter().map(|k| format!("{prefix}{}", quote(k))).collect::<Vec<_>>().join(", ");
    let lasts: Vec<String> = (1..=keys.len()).map(|i| format!("last_{i}")).collect();
    let mut declared = String::new();
    for (last, key) in lasts.iter().zip(keys) {
        let _ = writeln!(declared, "  {last} {relation}.{}%type;", quote(key));
    }
    let same = keys.iter().map(|k| format!("t.{0} = b.{0}", quote(k))).collect::<Vec<_>>().join(" and ");
    let spared: String = sparing.iter().map(|s| format!("\n        and {s}")).collect();
    let down = keys.iter().map(|k| format!("b.{} desc", quote(k))).collect::<Vec<_>>().join(", ");
    format!(
        "do $$
declare
{declared}begin
  loop
    with batch as (
      select {} from {relation} as t
      where (last_1 is null or ({}) > ({}))
        and {condition}
      order by {} limit {BATCH_ROWS} for update of t skip locked
    ), gone as (
      delete from {relation} as t using batch as b where {same}{spared}
    )
    select {} into {} from batch as b order by {down} limit 1;
    exit when not found;
    commit;
    perform pg_sleep(0.02);
  end loop;
end $$;",
        list("t."),
        list("t."),
        lasts.join(", "),
        list("t."),
        list("b."),
        lasts.join(", "),
    )
}

/// The block as a remedy.
pub fn delete(label: &str, sql: String, duration: &str, risk: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: label.to_owned(),
        text: sql,
        lock: Some(format!("{LOCK} {duration}")),
        risk: format!("{risk} {RISK}"),
        undo: Some(UNDO.to_owned()),
    }
}

/// Gives the room back to the table; the file does not shrink.
pub fn vacuum(relation: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "Let the room be used again".to_owned(),
        text: format!("vacuum (analyze) {relation};"),
        lock: Some("SHARE UPDATE EXCLUSIVE: reads and writes go on. Seconds to minutes a gigabyte.".to_owned()),
        risk: "Uses I/O while it runs. The file keeps its size and is filled again; pg_repack would shrink it without a long lock.".to_owned(),
        undo: None,
    }
}

/// Indexes that deleting from `parents` needs: for every deleted row Postgres looks for children in each foreign key, without
/// `deleted_at is null`, so that Medusa's partial indexes do not serve it and whole tables are read, once a row.
///
/// # Errors
/// A gap when constraints, indexes or tables could not be read.
pub fn lookup_indexes(snapshot: &Snapshot, schema: &str, parents: &[&str]) -> Result<Option<Remedy>, Gap> {
    let pg = snapshot.pg()?;
    let (constraints, indexes, tables) = (&pg.constraints()?.rows, &pg.indexes()?.rows, &pg.tables()?.rows);
    let is_large = |c: &Constraint| {
        tables.iter().find(|t| t.schema == c.schema && t.name == c.table).and_then(|t| t.rows()).is_some_and(|rows| rows >= CHILD_ROWS_MIN)
    };
    let is_child = |c: &&Constraint| {
        c.kind == "f" && c.parent_schema.as_deref() == Some(schema) && c.parent_table.as_deref().is_some_and(|p| parents.contains(&p))
    };
    let mut wanted: Vec<(String, String, String)> = constraints
        .iter()
        .filter(is_child)
        .filter(|c| is_large(c) && !indexes.iter().any(|i| serves(i, c)))
        .filter_map(|c| Some((c.schema.clone(), c.table.clone(), c.columns.first()?.clone())))
        .collect();
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(None);
    }
    let name = |table: &str, column: &str| {
        let name: String = format!("idx_purge_{table}_{column}").chars().take(NAME_BYTES_MAX).collect();
        quote(&name)
    };
    let create =
        wanted.iter().map(|(s, t, c)| format!("create index concurrently if not exists {} on {}.{} ({});", name(t, c), quote(s), quote(t), quote(c)));
    let drop = wanted.iter().map(|(s, t, c)| format!("drop index concurrently if exists {}.{};", quote(s), name(t, c)));
    Ok(Some(Remedy {
        kind: RemedyKind::Sql,
        label: "First index what deleting looks up".to_owned(),
        text: create.collect::<Vec<_>>().join("\n"),
        lock: Some("SHARE UPDATE EXCLUSIVE: reads and writes go on. Some seconds a million rows each.".to_owned()),
        risk: "Without them each deleted row reads whole tables: Medusa's own indexes leave soft-deleted rows out, and the foreign keys must not. \
               They cannot be created inside a transaction. Keep them where the rows are deleted regularly."
            .to_owned(),
        undo: Some(drop.collect::<Vec<_>>().join("\n")),
    }))
}

/// A whole index that begins with the key's column.
fn serves(index: &Index, key: &Constraint) -> bool {
    index.schema == key.schema
        && index.table == key.table
        && index.is_valid
        && index.predicate.is_none()
        && index.method == "btree"
        && index.keys.first().is_some_and(|k| key.columns.first() == Some(&k.text))
}

/// A scheduled job that runs the same block, for Medusa 1 or 2.
pub fn job(major: u8, name: &str, sql: &str) -> Remedy {
    let function = name.split('-').enumerate().fold(String::new(), |mut out, (i, word)| {
        match word.chars().next() {
            Some(first) if i > 0 => {
                out.extend(first.to_uppercase());
                out.push_str(&word[first.len_utf8()..]);
            }
            _ => out.push_str(word),
        }
        out
    });
    let text = if major == 1 {
        format!(
            "// src/jobs/{name}.ts
import {{ ScheduledJobArgs, ScheduledJobConfig }} from \"@medusajs/medusa\"

export default async function {function}({{ container }}: ScheduledJobArgs) {{
  await container.resolve(\"manager\").query(`
{sql}
`)
}}

export const config: ScheduledJobConfig = {{
  name: \"{name}\",
  schedule: \"30 3 * * *\",
  data: {{}},
}}"
        )
    } else {
        format!(
            "// src/jobs/{name}.ts
import {{ MedusaContainer }} from \"@medusajs/framework/types\"
import {{ ContainerRegistrationKeys }} from \"@medusajs/framework/utils\"

export default async function {function}(container: MedusaContainer) {{
  const db = container.resolve(ContainerRegistrationKeys.PG_CONNECTION)
  await db.raw(`
{sql}
`)
}}

export const config = {{
  name: \"{name}\",
  schedule: \"30 3 * * *\",
}}"
        )
    };
    Remedy {
        kind: RemedyKind::Code,
        label: "Keep it so with a scheduled job".to_owned(),
        text,
        lock: None,
        risk: "It runs every night at 03:30 on the instance that runs in worker or shared mode, outside a transaction, and deletes by the same rule."
            .to_owned(),
        undo: Some(format!("Remove src/jobs/{name}.ts and deploy.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{foreign_key, index, indexes, store, table, tables};
    use crate::evidence::Listed;

    #[test]
    fn a_block_walks_the_primary_key() {
        let sql = in_batches("public.t", &["a".into(), "b".into()], "t.state = 'done'", &["true".into()]);
        assert!(sql.starts_with("do $$\ndeclare\n  last_1 public.t.a%type;\n  last_2 public.t.b%type;\nbegin"), "{sql}");
        assert!(sql.contains("(t.a, t.b) > (last_1, last_2)") && sql.contains("where t.a = b.a and t.b = b.b\n        and true"), "{sql}");
        assert!(sql.contains("order by b.a desc, b.b desc limit 1") && sql.ends_with("end $$;"), "{sql}");
    }

    fn cart_store(rows: u64, predicate: Option<&str>) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("cart_line_item", rows, 1)]);
            pg.constraints = Ok(Listed::whole(vec![foreign_key("cart_line_item", "cart_id", "cart")]));
            indexes(pg, vec![index("cart_line_item", "IDX_cart_line_item_cart_id", &["cart_id"], predicate)]);
        })
    }

    #[test]
    fn a_partial_index_does_not_serve_the_foreign_key() {
        let partial = Some("(deleted_at IS NULL)");
        let remedy = lookup_indexes(&cart_store(1_000, partial), "public", &["cart"]).unwrap().unwrap();
        assert_eq!(remedy.text, "create index concurrently if not exists idx_purge_cart_line_item_cart_id on public.cart_line_item (cart_id);");
        assert_eq!(remedy.undo.as_deref(), Some("drop index concurrently if exists public.idx_purge_cart_line_item_cart_id;"));
        assert_eq!(lookup_indexes(&cart_store(999, partial), "public", &["cart"]).unwrap(), None);
        assert_eq!(lookup_indexes(&cart_store(1_000, None), "public", &["cart"]).unwrap(), None);
        assert_eq!(lookup_indexes(&cart_store(1_000, partial), "public", &["order"]).unwrap(), None);
    }

    #[test]
    fn jobs_run_the_same_block() {
        let (one, two) = (job(1, "purge-old-keys", "do $$ x"), job(2, "purge-old-keys", "do $$ x"));
        assert!(one.text.contains("async function purgeOldKeys({ container }") && one.text.contains("do $$ x"));
        assert!(two.text.contains("ContainerRegistrationKeys.PG_CONNECTION") && two.text.contains("// src/jobs/purge-old-keys.ts"));
    }
}
