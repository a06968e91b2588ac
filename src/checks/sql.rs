//! Reads statement texts: which tables and columns a statement filters, joins and sorts by.
//!
//! The grammar does the work (`sql_ast`); a text that the grammar refuses (cut at 4,000 characters, an unusual construct) is read by
//! a tolerant scan (`sql_tolerant`) that only believes what it can see whole. A text neither understands has no tables.

use std::borrow::Cow;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::{sql_ast, sql_tolerant};

/// Longer texts go to the tolerant scan only: the collector cuts at 4,000 characters, and the grammar's tree of a long chain of
/// operators is as deep as the chain is long.
const GRAMMAR_CHARS_MAX: usize = 4_100;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Select,
    Insert,
    Update,
    Delete,
    /// Everything that is not a query: `begin`, `create`, `vacuum` …
    Utility,
    /// Not understood.
    Unknown,
}

/// One statement as far as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub kind: Kind,
    /// One entry a mention: a table joined twice is here twice.
    pub tables: Vec<TableUse>,
    /// The grammar read all of it; else the tolerant scan read what it could.
    pub is_whole: bool,
}

impl Shape {
    /// Whether anything is known of the statement's tables.
    pub fn is_understood(&self) -> bool {
        self.is_whole || !self.tables.is_empty()
    }

    /// The table the statement reads first, or changes.
    pub fn main_table(&self) -> Option<&TableUse> {
        self.tables.iter().find(|t| t.is_target).or_else(|| self.tables.iter().find(|t| t.is_first)).or_else(|| self.tables.first())
    }
}

/// How one mention of a table is filtered, joined and sorted. Columns are unquoted names; an expression is its normal form
/// ([`normal_expression`]). Only conditions that hold for every row (joined by `and`) are here; the rest is `unusable`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableUse {
    pub schema: Option<String>,
    pub table: String,
    pub alias: String,
    /// The table an update, delete or insert changes.
    pub is_target: bool,
    /// The first table of its `from`.
    pub is_first: bool,
    /// `= $1`, `in (…)`, `= any (…)`.
    pub equal: Vec<String>,
    /// Those of `equal` that take several values.
    pub batched: Vec<String>,
    /// `<`, `>`, `between`.
    pub range: Vec<String>,
    pub joins: Vec<JoinOn>,
    /// Sorted by these columns of this table alone.
    pub order_by: Vec<SortKey>,
    pub is_null: Vec<String>,
    pub is_not_null: Vec<String>,
    /// `like` and `ilike`.
    pub like: Vec<String>,
    /// Columns in conditions no index order can serve: under `or`, under `not`, inside other expressions.
    pub unusable: Vec<String>,
    pub has_limit: bool,
    pub has_offset: bool,
    /// What it is part of is sorted, by whatever: with a limit, more rows are found than are returned.
    pub is_sorted: bool,
    /// Its rows are counted or summed, not returned.
    pub is_aggregate: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinOn {
    pub column: String,
    /// Alias, table and column of the other side; the table is `None` for a sub-query.
    pub other_alias: String,
    pub other_table: Option<String>,
    pub other_column: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    pub column: String,
    pub is_descending: bool,
    /// As spelt out; `None`: first when descending, else last.
    pub nulls_first: Option<bool>,
}

impl TableUse {
    /// The statement leaves soft-deleted rows out, so that an index `where deleted_at is null` serves it.
    pub fn is_soft_delete_filtered(&self) -> bool {
        self.is_null.iter().any(|c| c == "deleted_at")
    }

    /// The columns it can be found by: equal first, then joined.
    pub fn lookup_columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = Vec::new();
        for column in self.equal.iter().chain(self.joins.iter().map(|j| &j.column)) {
            if !columns.contains(&column.as_str()) {
                columns.push(column);
            }
        }
        columns
    }
}

/// Reads one normalised text. Never fails and never panics: what it cannot read is [`Kind::Unknown`] without tables.
pub fn read(text: &str) -> Shape {
    let kind = kind(text);
    if kind == Kind::Utility {
        return Shape { kind, tables: Vec::new(), is_whole: true };
    }
    if text.len() <= GRAMMAR_CHARS_MAX
        && let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, &rewritten(text))
        && let [statement] = statements.as_slice()
        && let Some(tables) = sql_ast::tables(statement)
    {
        return Shape { kind, tables, is_whole: true };
    }
    Shape { kind, tables: sql_tolerant::tables(text), is_whole: false }
}

/// What the text begins with; a `with` is a select unless it changes something.
pub fn kind(text: &str) -> Kind {
    let word = first_word(text).to_ascii_lowercase();
    match word.as_str() {
        "select" | "with" | "values" | "table" => Kind::Select,
        "insert" => Kind::Insert,
        "update" => Kind::Update,
        "delete" => Kind::Delete,
        "merge" => Kind::Unknown,
        w if UTILITY.contains(&w) => Kind::Utility,
        _ => Kind::Unknown,
    }
}

const UTILITY: [&str; 41] = [
    "abort",
    "alter",
    "analyze",
    "begin",
    "call",
    "checkpoint",
    "close",
    "cluster",
    "comment",
    "commit",
    "copy",
    "create",
    "deallocate",
    "declare",
    "discard",
    "do",
    "drop",
    "end",
    "execute",
    "explain",
    "fetch",
    "grant",
    "import",
    "listen",
    "load",
    "lock",
    "move",
    "notify",
    "prepare",
    "reassign",
    "refresh",
    "reindex",
    "release",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "set",
    "show",
    "start",
];

/// The first word behind comments and opening parentheses.
fn first_word(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.find("*/").map_or("", |end| &comment[end + 2..]).trim_start();
        } else if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.find('\n').map_or("", |end| &comment[end + 1..]).trim_start();
        } else if let Some(inner) = rest.strip_prefix('(') {
            rest = inner.trim_start();
        } else {
            break;
        }
    }
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let word = &rest[..end];
    // `truncate`, `unlisten` and `vacuum` complete the list without making it longer.
    if ["truncate", "unlisten", "vacuum"].iter().any(|u| word.eq_ignore_ascii_case(u)) { "reset" } else { word }
}

/// What Postgres writes and the grammar does not read: `extract($1 from …)` of the normalisation, `from only` and `for key
/// share` of its own foreign key checks, and the `…` of folded lists.
fn rewritten(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    if !text.contains('…') && !["extract($", "extract( $", "from only ", "for key share", "for no key update"].iter().any(|w| lower.contains(w)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let low = &lower[at..];
        if low.starts_with("from only ") {
            out.push_str("from ");
            at += "from only ".len();
        } else if low.starts_with("for key share") {
            out.push_str("for share");
            at += "for key share".len();
        } else if low.starts_with("for no key update") {
            out.push_str("for update");
            at += "for no key update".len();
        } else if low.starts_with("extract($") || low.starts_with("extract( $") {
            out.push_str("extract(day");
            let digits = at + low.find('$').map_or(0, |i| i + 1);
            at = text[digits..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |i| digits + i);
        } else if let Some(folded) = rest.strip_prefix(", …").or_else(|| rest.strip_prefix(",…")).or_else(|| rest.strip_prefix('…')) {
            at = text.len() - folded.len();
        } else {
            let Some(c) = rest.chars().next() else { break };
            out.push(c);
            at += c.len_utf8();
        }
    }
    Cow::Owned(out)
}

/// One form for `lower((email)::text)`, `lower("email")` and `LOWER(email)`: lower case, without casts, quotes, spaces and
/// needless parentheses. A plain column is its own normal form when it is plain lower case.
pub fn normal_expression(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(cast) = rest.strip_prefix("::") {
            // A type: words, spaces between words, a length, array brackets.
            let end = cast.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ' ' || c == '"')).unwrap_or(cast.len());
            rest = cast[end..].trim_start_matches("[]");
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if !c.is_whitespace() && c != '"' {
            out.extend(c.to_lowercase());
        }
    }
    without_needless_parentheses(&out)
}

/// `lower((email))` → `lower(email)`, `(a)` → `a`.
fn without_needless_parentheses(text: &str) -> String {
    let mut out: String = text.to_owned();
    // Each pass removes one pair around a bare word; texts of index expressions are short.
    while let Some((open, close)) = needless_pair(&out) {
        out.remove(close);
        out.remove(open);
    }
    out
}

fn needless_pair(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (0..bytes.len()).find_map(|open| {
        if bytes[open] != b'(' || (open > 0 && is_word(bytes[open - 1])) {
            return None;
        }
        let close = open + 1 + bytes[open + 1..].iter().position(|b| !is_word(*b))?;
        (bytes[close] == b')' && close > open + 1).then_some((open, close))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> TableUse {
        let shape = read(text);
        assert!(shape.is_whole, "the grammar reads {text}");
        shape.tables[0].clone()
    }

    #[test]
    fn a_medusa_list_is_read() {
        let shape = read(
            r#"select "p0".*, "t1"."id" as "t1__id" from "product" as "p0" left join "product_type" as "t1" on "p0"."type_id" = "t1"."id"
               and "t1"."deleted_at" is null where "p0"."deleted_at" is null and "p0"."id" in ($1, …) and "p0"."status" = $2
               order by "p0"."created_at" desc limit $3 offset $4"#,
        );
        assert!(shape.is_whole);
        assert_eq!(shape.kind, Kind::Select);
        let (p, t) = (&shape.tables[0], &shape.tables[1]);
        assert_eq!((p.table.as_str(), p.alias.as_str(), p.is_first), ("product", "p0", true));
        assert_eq!(p.equal, ["id", "status"]);
        assert_eq!(p.batched, ["id"]);
        assert!(p.is_soft_delete_filtered() && p.has_limit && p.has_offset && !p.is_aggregate);
        assert_eq!(p.order_by, [SortKey { column: "created_at".into(), is_descending: true, nulls_first: None }]);
        assert_eq!(p.joins[0].column, "type_id");
        assert_eq!(t.joins[0].column, "id");
        assert_eq!(t.joins[0].other_table.as_deref(), Some("product"));
        assert!(t.is_soft_delete_filtered() && !t.is_first);
    }

    #[test]
    fn quoted_schema_and_case_are_kept_apart() {
        let t = one(r#"SELECT "Order"."id" FROM "public"."order" "Order" WHERE ( "Order"."Status" = $1 ) AND Order_Id = ANY($2)"#);
        assert_eq!((t.schema.as_deref(), t.table.as_str(), t.alias.as_str()), (Some("public"), "order", "Order"));
        assert_eq!(t.equal, ["Status", "order_id"]);
        assert_eq!(t.batched, ["order_id"]);
    }

    #[test]
    fn conditions_under_or_and_not_are_unusable() {
        let t = one("select * from image where (product_id = $1 or url = $2) and not (rank = $3)");
        assert!(t.equal.is_empty());
        assert_eq!(t.unusable, ["product_id", "url", "rank"]);
    }

    #[test]
    fn sub_queries_and_common_tables_are_descended_into() {
        let shape = read(
            "with recent as (select id from orders where created_at > $1) select * from recent r join image i on i.product_id = r.id \
             where exists (select $2 from cart c where c.email = i.url) and i.id in (select image_id from link where product = $3)",
        );
        assert!(shape.is_whole);
        let names: Vec<_> = shape.tables.iter().map(|t| t.table.as_str()).collect();
        assert_eq!(names, ["orders", "image", "cart", "link"]);
        assert_eq!(shape.tables[0].range, ["created_at"]);
        assert_eq!(shape.tables[1].joins[0].column, "product_id");
        assert_eq!(shape.tables[2].joins[0].column, "email");
        assert_eq!(shape.tables[3].equal, ["product"]);
    }

    #[test]
    fn what_postgres_writes_is_rewritten() {
        let t = one(r#"SELECT $2 FROM ONLY "public"."order" x WHERE "id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x"#);
        assert_eq!((t.table.as_str(), t.equal.as_slice()), ("order", ["id".to_owned()].as_slice()));
        let t = one("select extract($1 from created_at) from image where id = $2");
        assert_eq!(t.equal, ["id"]);
    }

    #[test]
    fn changes_have_a_target() {
        let t = one(r#"update "image" set "url" = $1 where "product_id" = $2"#);
        assert!(t.is_target && t.equal == ["product_id"]);
        let t = one("select * from image where product_id = $1 || lpad(($2)::text, $3) and url = rank || $4");
        assert_eq!(t.equal, ["product_id"]);
        let t = one("delete from image where product_id = $1");
        assert!(t.is_target && t.equal == ["product_id"]);
        let t = one("insert into image (id, url) values ($1, $2)");
        assert!(t.is_target && t.table == "image");
    }

    #[test]
    fn expressions_have_one_form() {
        let t = one("select * from customer where lower(email) = $1 and name ilike $2 and age between $3 and $4");
        assert_eq!(t.equal, ["lower(email)"]);
        assert_eq!(t.like, ["name"]);
        assert_eq!(t.range, ["age"]);
        assert_eq!(normal_expression("lower((email)::text)"), "lower(email)");
        assert_eq!(normal_expression("(data ->> 'a'::text)"), "(data->>'a')");
    }

    #[test]
    fn counting_is_told_from_listing() {
        assert!(one("select count(*) from image where product_id = $1").is_aggregate);
        assert!(!one("select * from image where product_id = $1").is_aggregate);
    }

    #[test]
    fn a_cut_text_still_tells_its_tables() {
        let shape = read(r#"select "x0".* from "image" as "x0" where "x0"."deleted_at" is null and "x0"."product_id" = $1 and "x0"."ra"#);
        assert!(!shape.is_whole && shape.is_understood());
        assert_eq!(shape.tables[0].table, "image");
        assert_eq!(shape.tables[0].equal, ["product_id"]);
        assert!(shape.tables[0].is_soft_delete_filtered());
        assert!(!read("select a, b, c, d from").is_understood());
    }

    #[test]
    fn utility_statements_are_told() {
        for text in ["BEGIN", "set local statement_timeout = $1", "/* x */ vacuum image", "create index a on b (c)", "  -- x\ncommit"] {
            assert_eq!(read(text).kind, Kind::Utility, "{text}");
        }
    }

    #[test]
    fn long_chains_do_not_exhaust_the_stack() {
        for joint in ["+", " and ", " or ", "||"] {
            let chain = format!("select 1 from t where a = {}", vec!["1"; 1_800 / joint.len()].join(joint));
            assert_ne!(read(&chain).kind, Kind::Utility);
        }
        for open in ["(", "not ", "-", "select (", "case when "] {
            read(&format!("select {}", open.repeat(4_000 / open.len())));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,200}") {
            read(&text);
            normal_expression(&text);
        }

        #[test]
        fn any_words_are_read(words in proptest::collection::vec(
            prop::sample::select(vec!["select", "from", "\"a\"", "a.b", "=", "$1", "in", "(", ")", "where", "join", "on", "and", "or", "not", "is", "null",
                ",", "…", "limit", "order by", "extract($1", "'", "\"", "::text", "any", "from only", "--", "/*", "*/", "é"]), 0..60)) {
            read(&words.join(" "));
        }
    }
}
