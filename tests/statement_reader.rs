//! The reader of statement texts takes anything: no bytes make it panic, and none keep it busy.

use std::time::{Duration, Instant};

use medusa_advisor::checks::sql::{Kind, read};
use proptest::prelude::*;

/// Reading 4,000 characters takes a tenth of a millisecond when optimised; a hundred times the unoptimised time is a defect.
const TIME_MAX: Duration = Duration::from_secs(2);

fn read_in_time(text: &str) {
    let start = Instant::now();
    let shape = read(text);
    let took = start.elapsed();
    assert!(took < TIME_MAX, "{took:?} for {} characters: {}", text.len(), text.chars().take(200).collect::<String>());
    assert!(shape.tables.len() <= text.len());
}

const WORDS: [&str; 54] = [
    "select",
    "from",
    "where",
    "\"a\"",
    "a.b",
    "b.c",
    "=",
    "$1",
    "in",
    "(",
    ")",
    "((",
    "))",
    "join",
    "left join",
    "on",
    "and",
    "or",
    "not",
    "is",
    "null",
    ",",
    "…",
    "limit",
    "offset",
    "order by",
    "extract($1",
    "'",
    "\"",
    "::text",
    "any",
    "from only",
    "--",
    "/*",
    "*/",
    "é",
    "with a as (",
    "exists (select",
    "union all",
    "lateral (",
    "using (a)",
    "case when",
    "then",
    "end",
    "lower(",
    "between",
    "like",
    "<",
    "($1, $2)",
    "group by",
    "having",
    "over (",
    "interval",
    "\u{0}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read_in_time(bytes in proptest::collection::vec(any::<u8>(), 0..6_000)) {
        read_in_time(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_words_are_read_in_time(words in proptest::collection::vec(prop::sample::select(WORDS.to_vec()), 0..600)) {
        read_in_time(&words.join(" "));
        read_in_time(&format!("select * from a where {}", words.join(" ")));
    }

    #[test]
    fn a_text_cut_anywhere_is_read(at in 0_usize..400) {
        let text = r#"select "p0".*, count("i1"."id") as "é" from "product" as "p0" left join lateral (select * from "image" where "image"."product_id" = "p0"."id" or "image"."url" = $1) as "i1" on true where ("p0"."status" = $2 or "p0"."status" is null) and exists (select 1 from "cart" where "cart"."id" in ($3, …)) order by "p0"."created_at" desc nulls last limit $4"#;
        read_in_time(&text.chars().take(at).collect::<String>());
    }
}

#[test]
fn what_nests_deeply_or_goes_on_is_read_in_time() {
    let sized = |part: &str, chars: usize| part.repeat(chars / part.len());
    for chars in [2_000, 4_090, 40_000] {
        for part in [
            "(",
            "not ",
            "select (",
            "case when ",
            "a or ",
            "a and (",
            "exists (select 1 from a where b = $1 or ",
            "select * from (",
            "with a as (",
            "a.b = $1 or ",
            "(a.b = $1 and c = $2) or (",
            "join a on b = c ",
            "union select 1 from a ",
            "$1, ",
            "\"",
            "/*",
            "in ($1, ",
            "a.b::text::",
        ] {
            read_in_time(&format!("select 1 from a where {}", sized(part, chars)));
            read_in_time(&sized(part, chars));
        }
        let branches = vec!["(a.b = $1 and a.c in ($2, $3))"; chars / 31].join(" or ");
        read_in_time(&format!("select * from a where {branches}"));
        let joins: String = (0..chars / 40).map(|i| format!(" left join t{i} on t{i}.id = a.b or t{i}.c = $1")).collect();
        read_in_time(&format!("select * from a{joins} where a.x = $1 or a.x = $2"));
    }
    assert_eq!(read("").kind, Kind::Unknown);
}
