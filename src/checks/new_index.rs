//! An index to be made: its name, its SQL, its migration.

use time::macros::format_description;

use super::partitions::{Extent, is_partitioned, partitions};
use super::workload::statistics_age;
use crate::evidence::Snapshot;
use crate::evidence::postgres::{Index, Table, quote};
use crate::finding::{Evidence, Remedy, RemedyKind};
use crate::text;

/// Postgres cuts longer names, and two long names may then meet.
const NAME_BYTES_MAX: usize = 63;
/// Bytes a second of a concurrent build, both passes together, on ordinary cloud disks; measured faster, promised slower.
const BUILD_BYTES_A_SECOND: f64 = 50e6;
/// An entry of a btree: its head and the pointer to it.
const ENTRY_BYTES: f64 = 12.0;
/// Share of a page that a new btree fills.
const FILL: f64 = 0.9;
/// Width of a column without statistics: between a number and one of Medusa's ids.
const WIDTH_USUAL: f64 = 16.0;

/// An index to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIndex {
    pub schema: String,
    pub table: String,
    pub name: String,
    /// Column names unquoted, or expressions in their normal form.
    pub columns: Vec<String>,
    pub predicate: Option<String>,
}

impl NewIndex {
    /// With a name that no index of the schema has yet.
    pub fn new(schema: &str, table: &str, columns: &[String], predicate: Option<&str>, existing: &[Index]) -> Self {
        Self::named(schema, table, columns, predicate, |name| existing.iter().any(|i| i.schema == schema && i.name == name))
    }

    fn named(schema: &str, table: &str, columns: &[String], predicate: Option<&str>, is_taken: impl Fn(&str) -> bool) -> Self {
        let plain = |s: &str| -> String { s.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect() };
        let words: Vec<String> = columns.iter().map(|c| plain(c).trim_matches('_').to_owned()).collect();
        let whole = format!("idx_{}_{}", plain(table), words.join("_"));
        let mut name = fitting(&whole);
        let mut number = 2;
        while is_taken(&name) {
            name = fitting(&format!("{whole}_{number}"));
            number += 1;
        }
        Self { schema: schema.to_owned(), table: table.to_owned(), name, columns: columns.to_vec(), predicate: predicate.map(ToOwned::to_owned) }
    }

    /// `image(product_id)`, `order(created_at)`: for steps and subjects.
    pub fn short(&self) -> String {
        format!("{}({})", self.table, self.columns.join(", "))
    }

    /// `public.image(product_id)`.
    pub fn subject(&self) -> String {
        format!("{}.{}", self.schema, self.short())
    }

    /// `(product_id) where deleted_at is null`.
    fn definition(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|c| spelt(c)).collect();
        let predicate = self.predicate.as_ref().map(|p| format!(" where {p}")).unwrap_or_default();
        format!("({}){predicate}", columns.join(", "))
    }

    /// `on public.image (product_id) where deleted_at is null`.
    fn on(&self) -> String {
        format!("on {}.{} {}", quote(&self.schema), quote(&self.table), self.definition())
    }

    /// For HypoPG, which takes no name.
    pub fn hypothetical_sql(&self) -> String {
        format!("create index {}", self.on())
    }

    /// Runnable as it stands outside a transaction.
    pub fn create_sql(&self, snapshot: &Snapshot) -> String {
        self.build_sql(snapshot, &self.definition())
    }

    /// The same of an index that is `definition`, such as `using gin (…)`. Postgres builds none concurrently on a partitioned table: there it
    /// is declared on that table, then built on each partition and attached.
    pub fn build_sql(&self, snapshot: &Snapshot, definition: &str) -> String {
        self.statements(snapshot, definition, &mut Vec::new()).join("\n")
    }

    /// `taken` are the names given to its parts so far: those of two tables may meet in one spelling.
    fn statements(&self, snapshot: &Snapshot, definition: &str, taken: &mut Vec<String>) -> Vec<String> {
        taken.push(self.name.clone());
        let (name, table) = (quote(&self.name), format!("{}.{}", quote(&self.schema), quote(&self.table)));
        let (tables, existing) = snapshot
            .pg()
            .map_or((&[][..], &[][..]), |pg| (pg.tables.as_ref().map_or(&[][..], |t| &t.rows), pg.indexes.as_ref().map_or(&[][..], |i| &i.rows)));
        let Some(whole) = self.partitioned(snapshot) else { return vec![format!("create index concurrently {name} on {table} {definition};")] };
        let parts: Vec<&Table> = partitions(tables, whole).collect();
        if parts.is_empty() {
            return vec![format!("create index {name} on {table} {definition};")];
        }
        let mut statements = vec![format!("create index {name} on only {table} {definition};")];
        for part in parts {
            let is_taken = |name: &str| taken.iter().any(|t| t == name) || existing.iter().any(|i| i.schema == part.schema && i.name == name);
            let own = Self::named(&part.schema, &part.name, &self.columns, self.predicate.as_deref(), is_taken);
            statements.extend(own.statements(snapshot, definition, taken));
            let attached = format!("{}.{}", quote(&own.schema), quote(&own.name));
            statements.push(format!("alter index {}.{name} attach partition {attached};", quote(&self.schema)));
        }
        statements
    }

    /// Its table, where that is partitioned.
    fn partitioned<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Table> {
        let tables = &snapshot.pg().ok()?.tables.as_ref().ok()?.rows;
        tables.iter().find(|t| t.schema == self.schema && t.name == self.table).filter(|t| is_partitioned(t))
    }

    pub fn drop_sql(&self, snapshot: &Snapshot) -> String {
        self.drop(snapshot, "")
    }

    fn drop(&self, snapshot: &Snapshot, if_exists: &str) -> String {
        let concurrently = if self.partitioned(snapshot).is_some() { "" } else { "concurrently " };
        format!("drop index {concurrently}{if_exists}{}.{};", quote(&self.schema), quote(&self.name))
    }

    /// What the index costs: its size and the writes that keep it. `bytes` as the planner's hypothetical index has them, else modelled.
    pub fn costs(&self, snapshot: &Snapshot, table: &Table, bytes: Option<u64>) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        let (bytes, basis) = match bytes {
            Some(bytes) => (Some(bytes), "as the hypothetical index"),
            None => (self.modelled_bytes(snapshot, table), "modelled from column widths"),
        };
        if let Some(bytes) = bytes {
            evidence.push(Evidence::figure("Size of the index", bytes as f64, "bytes", format!("{}, {basis}", text::bytes_disk(bytes))));
        }
        // Rows of a partitioned table are counted at its partitions.
        if let Some((rate, words)) = writes_a_second(snapshot, table).filter(|_| !is_partitioned(table)) {
            let shown = format!("{} {words}: each inserted or updated row version gets one entry more", text::per_second(rate));
            evidence.push(Evidence::figure("Writes that keep it", rate, "per second", shown));
        }
        evidence
    }

    fn modelled_bytes(&self, snapshot: &Snapshot, table: &Table) -> Option<u64> {
        let pg = snapshot.pg().ok()?;
        let rows = Extent::of(pg.tables.as_ref().map_or(&[][..], |t| &t.rows), table)?.rows?;
        let stats = pg.column_stats.as_ref().map_or(&[][..], |s| &s.rows);
        let of = |column: &str| stats.iter().find(|s| s.schema == table.schema && s.table == table.name && s.column == column);
        let width: f64 = self.columns.iter().map(|c| of(bare(c)).map_or(WIDTH_USUAL, |s| f64::from(s.average_width))).sum();
        // Entries begin at multiples of eight bytes.
        let entry = (width / 8.0).ceil() * 8.0 + ENTRY_BYTES;
        let live = self.predicate.as_ref().and_then(|_| of("deleted_at")).map_or(1.0, |s| s.null_fraction);
        Some((rows as f64 * live * entry / FILL) as u64)
    }

    /// The SQL and, for a known Medusa, the migration that keeps it.
    pub fn remedies(&self, snapshot: &Snapshot, table_bytes: u64) -> Vec<Remedy> {
        let lock = self.lock(snapshot, table_bytes, BUILD_BYTES_A_SECOND);
        let undone = if self.partitioned(snapshot).is_some() {
            " Dropping it again locks the table and its partitions for a moment: an index of a partitioned table cannot be dropped concurrently."
        } else {
            ""
        };
        let mut remedies = vec![Remedy {
            kind: RemedyKind::Sql,
            label: "Create the index".to_owned(),
            text: self.create_sql(snapshot),
            lock: Some(lock.clone()),
            risk: format!(
                "Reads the table twice while it builds, and every write to {} keeps one more index. A build that is cancelled leaves an invalid index: drop it and build again.{undone}",
                self.table
            ),
            undo: Some(self.drop_sql(snapshot)),
        }];
        let stamp = snapshot
            .meta
            .taken_at
            .format(format_description!("[year][month][day][hour][minute][second]"))
            .unwrap_or_else(|_| "20260101000000".to_owned());
        match snapshot.medusa().map(|m| m.major) {
            Ok(2) => remedies.push(migration("Keep it in a module's migrations", self.mikro_orm(snapshot, &stamp), lock)),
            Ok(1) => remedies.push(migration("Keep it in the project's migrations", self.type_orm(snapshot.meta.taken_at.unix_timestamp()), lock)),
            _ => {}
        }
        remedies
    }

    /// `table_bytes` of a table that is not partitioned.
    pub fn lock(&self, snapshot: &Snapshot, table_bytes: u64, bytes_a_second: f64) -> String {
        let tables = snapshot.pg().ok().and_then(|pg| pg.tables.as_ref().ok()).map_or(&[][..], |t| &t.rows);
        let extent = self.partitioned(snapshot).map(|whole| Extent::of(tables, whole));
        let of = |bytes: u64| format!("About {} for {}", text::seconds((bytes as f64 / bytes_a_second).max(1.0)), text::bytes_disk(bytes));
        match extent {
            None => format!(
                "SHARE UPDATE EXCLUSIVE on {}: reads and writes go on. {}; it also waits for transactions that are open when it starts.",
                self.table,
                of(table_bytes)
            ),
            Some(Some(extent)) => format!(
                "SHARE on {} for a moment, while the index is declared: writes wait. Then SHARE UPDATE EXCLUSIVE on one partition after the other: \
                 reads and writes go on. {}; each build also waits for transactions that are open when it starts.",
                self.table,
                of(extent.bytes)
            ),
            Some(None) => format!("SHARE on {} and its partitions: reads go on, writes wait until the index is built.", self.table),
        }
    }

    /// MikroORM 6: `isTransactional` is what lets a concurrent build run at all.
    fn mikro_orm(&self, snapshot: &Snapshot, stamp: &str) -> String {
        let up: Vec<String> = self
            .statements(snapshot, &self.definition(), &mut Vec::new())
            .iter()
            .map(|s| format!("    this.addSql(`{}`)\n", if_not_exists(s)))
            .collect();
        let (up, down) = (up.concat(), self.drop(snapshot, "if exists "));
        format!(
            "// src/modules/<module>/migrations/Migration{stamp}.ts, run by: npx medusa db:migrate\n\
             // Older releases import from \"@mikro-orm/migrations\".\n\
             import {{ Migration }} from \"@medusajs/framework/mikro-orm/migrations\"\n\n\
             export class Migration{stamp} extends Migration {{\n\
             \x20 // An index cannot be built concurrently inside a transaction.\n\
             \x20 override isTransactional(): boolean {{\n    return false\n  }}\n\n\
             \x20 override async up(): Promise<void> {{\n{up}  }}\n\n\
             \x20 override async down(): Promise<void> {{\n    this.addSql(`{down}`)\n  }}\n}}\n"
        )
    }

    /// TypeORM 0.3: Medusa v1 runs its migrations in one transaction and refuses those that set `transaction`, so this one cannot build
    /// concurrently; run behind the SQL it only records the index.
    fn type_orm(&self, unix_s: i64) -> String {
        let (name, on) = (quote(&self.name), self.on());
        let qualified = format!("{}.{}", quote(&self.schema), name);
        let class: String = self.name.split('_').filter(|w| !w.is_empty()).map(capital).collect();
        format!(
            "// src/migrations/{stamp}-{file}.ts, run by: npx medusa migrations run\n\
             // Run the SQL first: Medusa v1 migrates inside one transaction, where an index cannot be built concurrently.\n\
             // This migration then finds the index and changes nothing; on a new database it creates it.\n\
             import {{ MigrationInterface, QueryRunner }} from \"typeorm\"\n\n\
             export class {class}{stamp} implements MigrationInterface {{\n\
             \x20 async up(queryRunner: QueryRunner): Promise<void> {{\n    await queryRunner.query(`create index if not exists {name} {on}`)\n  }}\n\n\
             \x20 async down(queryRunner: QueryRunner): Promise<void> {{\n    await queryRunner.query(`drop index if exists {qualified}`)\n  }}\n}}\n",
            stamp = unix_s * 1_000,
            file = self.name.replace('_', "-"),
        )
    }
}

fn migration(label: &str, text: String, lock: String) -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaMigration,
        label: label.to_owned(),
        text,
        lock: Some(lock),
        risk: "None beyond the index itself: where the index exists already, the migration changes nothing.".to_owned(),
        undo: Some("Run its down().".to_owned()),
    }
}

/// So that it may run where the index is; an index that is attached is attached again without a word.
fn if_not_exists(statement: &str) -> String {
    let head = ["create index concurrently ", "create index "].into_iter().find(|head| statement.starts_with(head));
    head.map_or_else(|| statement.to_owned(), |head| statement.replacen(head, &format!("{head}if not exists "), 1))
}

/// Rows inserted and updated a second: over the window where it was, else since the counters were reset.
fn writes_a_second(snapshot: &Snapshot, table: &Table) -> Option<(f64, String)> {
    let written = |c: &crate::evidence::postgres::TableCounters| (c.inserts + c.updates) as f64;
    match &table.counters.window {
        Some(window) if snapshot.meta.window_s > 0.0 => {
            Some((written(window) / snapshot.meta.window_s, format!("in {}", text::seconds(snapshot.meta.window_s))))
        }
        _ => {
            let age = statistics_age(snapshot).ok().filter(|a| a.seconds > 0.0)?;
            Some((written(&table.counters.total) / age.seconds, format!("since {}", text::date(age.since))))
        }
    }
}

const FUNCTIONS: [&str; 4] = ["lower(", "upper(", "date(", "trim("];

fn is_expression(column: &str) -> bool {
    column.ends_with(')') && FUNCTIONS.iter().any(|f| column.starts_with(f))
}

/// The column inside an expression or in front of a direction.
fn bare(column: &str) -> &str {
    let column = direction(column).0;
    FUNCTIONS.iter().find_map(|f| column.strip_prefix(f)).and_then(|c| c.strip_suffix(')')).unwrap_or(column)
}

/// The column and what is spelt out behind it.
fn direction(column: &str) -> (&str, &str) {
    let known = [" desc nulls last", " nulls first", " desc"];
    known.iter().find_map(|end| column.strip_suffix(end).map(|head| (head, *end))).unwrap_or((column, ""))
}

fn spelt(column: &str) -> String {
    let (name, direction) = direction(column);
    if is_expression(name) { column.to_owned() } else { format!("{}{direction}", quote(name)) }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// The name cut to what Postgres keeps, told apart by a hash of the whole.
fn fitting(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    // FNV-1a: the same name in every run and on every machine.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    format!("{}_{hash:08x}", &name[..NAME_BYTES_MAX - 9])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{self, index};
    use crate::checks::partitions::fixtures::{partition, partitioned};

    #[test]
    fn texts_are_quoted_and_names_fit() {
        let columns = vec!["created_at".to_owned()];
        let taken = index("order", "idx_order_created_at", &["status"], None);
        let new = NewIndex::new("public", "order", &columns, Some("deleted_at is null"), &[taken]);
        let none = fixtures::store(|_| {});
        assert_eq!(
            new.create_sql(&none),
            "create index concurrently idx_order_created_at_2 on public.\"order\" (created_at) where deleted_at is null;"
        );
        assert_eq!(new.drop_sql(&none), "drop index concurrently public.idx_order_created_at_2;");
        let long = NewIndex::new("public", &"t".repeat(60), &["Mixed".to_owned(), "lower(email)".to_owned()], None, &[]);
        assert_eq!(long.name.len(), 63);
        assert!(long.create_sql(&none).ends_with("(\"Mixed\", lower(email));"));
        let sorted = NewIndex::new("public", "order", &["created_at desc nulls last".to_owned(), "order".to_owned()], None, &[]);
        assert!(sorted.create_sql(&none).ends_with("on public.\"order\" (created_at desc nulls last, \"order\");"));
    }

    #[test]
    fn migrations_follow_the_version() {
        let new = NewIndex::new("public", "image", &["product_id".to_owned()], None, &[]);
        let mut snapshot = fixtures::store(|_| {});
        let two = new.remedies(&snapshot, 100_000_000);
        assert!(two[1].text.contains("class Migration20261123093000 extends Migration") && two[1].text.contains("isTransactional"));
        assert!(two[0].lock.as_ref().unwrap().contains("2\u{a0}s"));
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        let Ok(medusa) = &mut pg.medusa else { unreachable!("the fixture is a Medusa store") };
        medusa.major = 1;
        let one = new.remedies(&snapshot, 0);
        assert!(
            one[1].text.contains("class IdxImageProductId1795426200000 implements MigrationInterface") && !one[1].text.contains("concurrently if")
        );
    }

    #[test]
    fn a_partitioned_table_is_indexed_part_by_part() {
        let new = NewIndex::new("public", "event", &["sku".to_owned()], Some("deleted_at is null"), &[]);
        let snapshot = fixtures::store(|pg| {
            let mut below = partitioned("Event", 0);
            below.partition_of = partition("event", "", 0, 0).partition_of;
            let leaves = [partition("event", "event_a", 30_000, 50_000_000), partition("Event", "event_b0", 30_000, 50_000_000)];
            fixtures::tables(pg, [partitioned("event", 60_000), below].into_iter().chain(leaves).collect());
        });
        let remedies = new.remedies(&snapshot, 0);
        assert_eq!(
            remedies[0].text,
            "create index idx_event_sku on only public.event (sku) where deleted_at is null;\n\
             create index idx_event_sku_2 on only public.\"Event\" (sku) where deleted_at is null;\n\
             create index concurrently idx_event_b0_sku on public.event_b0 (sku) where deleted_at is null;\n\
             alter index public.idx_event_sku_2 attach partition public.idx_event_b0_sku;\n\
             alter index public.idx_event_sku attach partition public.idx_event_sku_2;\n\
             create index concurrently idx_event_a_sku on public.event_a (sku) where deleted_at is null;\n\
             alter index public.idx_event_sku attach partition public.idx_event_a_sku;"
        );
        assert_eq!(remedies[0].undo.as_deref(), Some("drop index public.idx_event_sku;"));
        assert!(remedies[0].lock.as_ref().unwrap().contains("About 2\u{a0}s for 100"), "{:?}", remedies[0].lock);
        assert!(
            remedies[1].text.contains("`create index concurrently if not exists idx_event_a_sku")
                && remedies[1].text.contains("`drop index if exists public")
        );
        // A snapshot that does not tell the partitions.
        let alone = fixtures::store(|pg| fixtures::tables(pg, vec![partitioned("event", 60_000)]));
        assert_eq!(new.create_sql(&alone), "create index idx_event_sku on public.event (sku) where deleted_at is null;");
    }

    #[test]
    fn size_and_writes_are_told() {
        let new = NewIndex::new("public", "image", &["product_id".to_owned()], None, &[]);
        let mut image = fixtures::table("image", 100_000, 50_000_000);
        image.counters.total.inserts = 60 * 86_400 * 2;
        let shown = |snapshot: &Snapshot, bytes| -> Vec<String> {
            let figure = |e: Evidence| match e {
                Evidence::Figure { shown, .. } => shown,
                other => panic!("{other:?}"),
            };
            new.costs(snapshot, &image, bytes).into_iter().map(figure).collect()
        };
        let mut snapshot = fixtures::store(|_| {});
        // 16 and 12 bytes an entry, pages nine tenths full; two writes a second for sixty days.
        assert_eq!(shown(&snapshot, None)[0], "3.11\u{a0}MB, modelled from column widths");
        assert!(shown(&snapshot, None)[1].starts_with("2/s since 24 Sep 2026"), "{}", shown(&snapshot, None)[1]);
        assert_eq!(shown(&snapshot, Some(4_000_000))[0], "4\u{a0}MB, as the hypothetical index");
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        pg.server = Err(crate::evidence::Gap::not_configured(crate::evidence::Section::PgServer));
        assert_eq!(shown(&snapshot, None).len(), 1);
    }
}
