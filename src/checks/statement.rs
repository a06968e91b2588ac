//! How findings about statements name them, show them and lead on. Shared, so that one statement bears one name in every check.

use super::sql::{Kind, Shape, TableUse};
use super::workload::{Load, Workload};
use crate::finding::{Cell, Evidence, Remedy, RemedyKind};
use crate::text;

/// Placeholders from which a list was put together by a program: the product lists of Medusa v2 send every product of the sales channel.
pub const LONG_LIST: u32 = 1_000;
/// Characters of a text that only such a list reaches (stock v2: 150,000 at 20,000 products; its longest other statement has 4,000).
pub const LONG_TEXT_CHARS: u64 = 20_000;

/// The tables and what it looks for, so that a dismissal survives another queryid.
pub fn subject(load: &Load, shape: &Shape) -> String {
    let Some(main) = shape.main_table() else { return text::cut(&text::one_line(&load.statement.text), 60) };
    let mut by: Vec<String> = main.lookup_columns().iter().map(|c| (*c).to_owned()).collect();
    by.extend(main.range.iter().chain(&main.like).cloned());
    by.extend(main.order_by.first().map(|k| format!("order {}", k.column)));
    by.dedup();
    let word = if main.is_aggregate { "count" } else { "rows" };
    let others = shape.tables.len() - 1;
    let joined = if others > 0 { format!(" with {others} more") } else { String::new() };
    format!("{word} of {}({}){joined}", main.table, by.join(", "))
}

/// Whether it sends a list of values that a program put together.
pub fn has_long_list(load: &Load) -> bool {
    load.statement.placeholders > LONG_LIST || load.statement.text_chars > LONG_TEXT_CHARS
}

/// Postgres' own look at the parent or the children of a foreign key.
pub fn is_key_check(text: &str) -> bool {
    text.to_ascii_lowercase().contains("for key share")
}

/// Reads, and is sent by the application.
pub fn is_read(load: &Load, shape: &Shape) -> bool {
    shape.kind == Kind::Select && !is_key_check(&load.statement.text)
}

/// Whether it looks for a piece of text with `like` or `ilike`, wherever the condition stands.
pub fn is_search(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains(" ilike ") || text.contains(" like ")
}

/// `table:public.order`, as findings name what they touch.
pub fn table_touch(used: &TableUse) -> String {
    format!("table:{}.{}", used.schema.as_deref().unwrap_or("public"), used.table)
}

/// The statement and its main table.
pub fn touches(load: &Load, shape: &Shape) -> Vec<String> {
    std::iter::once(load.touch()).chain(shape.main_table().map(table_touch)).collect()
}

/// One row a statement, costliest first.
pub fn table(work: &Workload, loads: &[Load]) -> Evidence {
    let row = |load: &Load| {
        let c = &load.counters;
        vec![
            Cell::text(text::cut(&text::one_line(&load.statement.text), 160)),
            Cell::number(c.calls as f64, text::count(c.calls)),
            Cell::number(c.mean_ms(), text::millis(c.mean_ms())),
            Cell::number(c.rows_a_call(), text::number(c.rows_a_call())),
            Cell::number(load.blocks_a_call(), text::number(load.blocks_a_call())),
            Cell::number(work.share(load), text::percent(work.share(load))),
        ]
    };
    let columns = ["Statement", "Calls", "Mean", "Rows a call", "Blocks a call", "Share of time"];
    Evidence::table("Statements", &columns, loads.iter().map(row).collect())
}

/// The text as the server normalised it.
pub fn code(load: &Load) -> Evidence {
    Evidence::Code { label: "Statement".to_owned(), language: "sql".to_owned(), text: text::cut(&load.statement.text, 1_500) }
}

/// Sums over several statements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sums {
    pub calls: u64,
    pub total_ms: f64,
    pub rows: u64,
}

impl Sums {
    pub fn of(loads: &[Load]) -> Self {
        Self {
            calls: loads.iter().map(|l| l.counters.calls).sum(),
            total_ms: loads.iter().map(|l| l.counters.total_ms).sum(),
            rows: loads.iter().map(|l| l.counters.rows).sum(),
        }
    }

    pub fn mean_ms(&self) -> f64 {
        self.total_ms / self.calls.max(1) as f64
    }

    pub fn rows_a_call(&self) -> f64 {
        self.rows as f64 / self.calls.max(1) as f64
    }
}

/// Postgres 16 explains a text with placeholders; older versions are asked through a prepared statement.
pub fn explain(load: &Load) -> Remedy {
    let is_whole = load.statement.text_chars <= load.statement.text.chars().count() as u64 && !load.statement.text.contains('…');
    let text = if is_whole {
        let printed = load.statement.text.trim_end_matches(';');
        // Counted in the text that is printed: it may number a parameter anew that the application sent twice.
        let values = match last_parameter(printed) {
            0 => String::new(),
            n => format!("({})", vec!["null"; n].join(", ")),
        };
        format!(
            "set plan_cache_mode = force_generic_plan;\nprepare slow_statement as {printed};\nexplain execute slow_statement{values};\ndeallocate slow_statement;"
        )
    } else {
        format!("select query from pg_stat_statements where queryid = {};", load.statement.id)
    };
    Remedy {
        kind: RemedyKind::Sql,
        label: if is_whole { "See its plan" } else { "Read the whole statement" }.to_owned(),
        text,
        lock: None,
        risk: "None: explain without analyze does not run the statement.".to_owned(),
        undo: None,
    }
}

/// The highest `$n` of a text.
fn last_parameter(text: &str) -> usize {
    let number = |part: &str| part[..part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len())].parse().ok();
    text.split('$').skip(1).filter_map(number).max().unwrap_or(0)
}

/// Code to write by hand.
pub fn rewrite(label: &str, text: impl Into<String>, risk: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Code,
        label: label.to_owned(),
        text: text.into(),
        lock: None,
        risk: risk.to_owned(),
        undo: Some("Take the change back.".to_owned()),
    }
}

/// The caching module of v2 (2.11 and later) on a Redis of its own.
pub fn caching_module() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Turn the caching module on".to_owned(),
        text: "// medusa-config.ts (2.11 and later, with MEDUSA_FF_CACHING=true), after npm install @medusajs/caching-redis\nmodules: [\n  {\n    \
               resolve: \"@medusajs/medusa/caching\",\n    options: {\n      providers: [\n        {\n          resolve: \"@medusajs/caching-redis\",\n          \
               id: \"caching-redis\",\n          is_default: true,\n          options: { redisUrl: process.env.CACHE_REDIS_URL },\n        },\n      ],\n    },\n  \
               },\n],\n"
            .to_owned(),
        lock: None,
        risk: "Answers may be as old as the entry's lifetime, an hour unless set. Any change of a product drops the cached lists, so imports empty the cache.".to_owned(),
        undo: Some("Remove the module and the flag.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::statement;
    use crate::checks::workload::shape;
    use crate::evidence::postgres::Statement;

    fn load(statement: &Statement) -> Load<'_> {
        Load { statement, counters: statement.counters.total }
    }

    #[test]
    fn long_lists_are_known_by_placeholders_or_length() {
        for (placeholders, chars, is_long) in [(1_000, 20_000, false), (1_001, 10, true), (1, 20_001, true)] {
            let one = Statement { placeholders, text_chars: chars, ..statement("1", "select 1 from product", 1, 1.0) };
            assert_eq!(has_long_list(&load(&one)), is_long);
        }
    }

    #[test]
    fn whole_texts_are_explained_and_cut_ones_are_read() {
        let whole = statement("7", "select * from review where note = $1", 1, 1.0);
        assert!(explain(&load(&whole)).text.contains("explain execute slow_statement(null);"));
        let execute = |text: &str| {
            let one = statement("7", text, 1, 1.0);
            explain(&load(&one)).text.lines().find(|l| l.starts_with("explain")).map(str::to_owned)
        };
        assert_eq!(execute("select count(*) from \"order\""), Some("explain execute slow_statement;".to_owned()));
        assert_eq!(execute("select * from review where a = $2 and b = $1"), Some("explain execute slow_statement(null, null);".to_owned()));
        let folded = statement("7", "select * from review where id in ($1, …)", 1, 1.0);
        assert_eq!(explain(&load(&folded)).text, "select query from pg_stat_statements where queryid = 7;");
    }

    #[test]
    fn the_servers_own_reads_are_not_the_applications() {
        let own = statement("1", r#"SELECT $2 FROM ONLY "public"."order" x WHERE "id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x"#, 1, 1.0);
        assert!(!is_read(&load(&own), &shape(&own.text)));
        let read = statement("1", "select * from \"order\" where id = $1", 1, 1.0);
        assert!(is_read(&load(&read), &shape(&read.text)));
        assert_eq!(touches(&load(&read), &shape(&read.text)), ["statement:1", "table:public.order"]);
    }
}
