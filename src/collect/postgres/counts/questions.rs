//! What is counted of which table. The checks `app-*` know these names; what is not here is not known to them.

/// One count of one table.
pub struct Question {
    pub table: &'static str,
    /// Of one major version of Medusa only.
    pub major: Option<u8>,
    pub what: &'static str,
    /// Columns it reads; where one does not exist in this version, the question has no answer.
    pub needs: &'static [&'static str],
    pub condition: &'static str,
}

/// Children counted by their parent.
pub struct Group {
    pub child: &'static str,
    pub key: &'static str,
    /// Whose rows are sampled where the children are too many; `None`: there are few parents with many children each.
    pub parent: Option<&'static str>,
    pub major: Option<u8>,
    pub many: u64,
    /// Names of the figures: parents with children, the most children of one, parents with more than `many`.
    pub groups: &'static str,
    pub most: &'static str,
    pub over: &'static str,
}

/// The question for the carts that a purge would take.
pub fn abandoned(major: u8) -> Option<&'static Question> {
    QUESTIONS.iter().find(|q| q.what == "abandoned_90_days" && q.major == Some(major))
}

pub const QUESTIONS: &[Question] = &[
    Question { table: "cart", major: None, what: "completed", needs: &["completed_at"], condition: "t.completed_at is not null" },
    Question {
        table: "cart",
        major: Some(2),
        what: "abandoned_90_days",
        needs: &["completed_at", "updated_at"],
        condition: "t.completed_at is null and t.updated_at < pg_catalog.now() - interval '90 days'",
    },
    Question {
        table: "cart",
        major: Some(1),
        what: "abandoned_90_days",
        needs: &["completed_at", "updated_at", "payment_authorized_at", "type"],
        // Carts of swaps, claims, drafts and payment links belong to something else.
        condition: "t.completed_at is null and t.payment_authorized_at is null and t.type = 'default' \
                    and t.updated_at < pg_catalog.now() - interval '90 days'",
    },
    Question {
        table: "workflow_execution",
        major: None,
        what: "final",
        needs: &["state", "retention_time"],
        condition: "t.state in ('done', 'failed', 'reverted')",
    },
    Question {
        table: "workflow_execution",
        major: None,
        what: "retention_null_final",
        needs: &["state", "retention_time"],
        condition: "t.retention_time is null and t.state in ('done', 'failed', 'reverted')",
    },
    // The timestamps of this table have no zone and are in UTC, unlike all others.
    Question {
        table: "workflow_execution",
        major: None,
        what: "past_retention",
        needs: &["state", "retention_time", "updated_at"],
        condition: "t.state in ('done', 'failed', 'reverted') and t.updated_at + t.retention_time * interval '1 second' \
                    < pg_catalog.now() at time zone 'UTC' - interval '1 hour'",
    },
    Question {
        table: "workflow_execution",
        major: None,
        what: "stuck",
        needs: &["state", "retention_time", "updated_at"],
        condition: "t.state not in ('done', 'failed', 'reverted') and t.updated_at < pg_catalog.now() at time zone 'UTC' - interval '1 day'",
    },
    // Part of the primary key in newer 2.x: a count of it says that it is there.
    Question { table: "workflow_execution", major: None, what: "with_run_id", needs: &["run_id"], condition: "t.run_id is not null" },
    // A staged job has no time of its own, but its id begins with one: job_ and a ULID, whose first ten characters are the milliseconds
    // since 1970 in Crockford's base 32.
    Question {
        table: "staged_job",
        major: Some(1),
        what: "older_10_minutes",
        needs: &["id"],
        condition: "t.id collate \"C\" < 'job_' || (select pg_catalog.string_agg(pg_catalog.substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', \
                    (1 + ((ms.ms >> (5 * (9 - digit.i))) & 31))::int4, 1), '' order by digit.i) from pg_catalog.generate_series(0, 9) as digit (i), \
                    (select (extract(epoch from pg_catalog.now() - interval '10 minutes') * 1000)::int8 as ms) as ms)",
    },
    Question {
        table: "idempotency_key",
        major: Some(1),
        what: "older_72_hours",
        needs: &["created_at"],
        condition: "t.created_at < pg_catalog.now() - interval '72 hours'",
    },
    Question {
        table: "notification",
        major: None,
        what: "older_90_days",
        needs: &["created_at"],
        condition: "t.created_at < pg_catalog.now() - interval '90 days'",
    },
    Question {
        table: "notification",
        major: Some(2),
        what: "pending_1_day",
        needs: &["created_at", "status", "deleted_at"],
        condition: "t.status = 'pending' and t.deleted_at is null and t.created_at < pg_catalog.now() - interval '1 day'",
    },
    Question {
        table: "inventory_level",
        major: None,
        what: "negative",
        needs: &["reserved_quantity", "deleted_at"],
        condition: "t.reserved_quantity < 0 and t.deleted_at is null",
    },
    Question {
        table: "price",
        major: Some(2),
        what: "in_price_lists",
        needs: &["price_list_id", "deleted_at"],
        condition: "t.price_list_id is not null and t.deleted_at is null",
    },
    Question {
        table: "money_amount",
        major: Some(1),
        what: "in_price_lists",
        needs: &["price_list_id", "deleted_at"],
        condition: "t.price_list_id is not null and t.deleted_at is null",
    },
    // The index engine answers product lists once it has read the catalogue.
    Question { table: "index_metadata", major: Some(2), what: "done", needs: &["status"], condition: "t.status::text = 'done'" },
];

pub const GROUPS: &[Group] = &[
    Group {
        child: "price",
        key: "price_set_id",
        parent: Some("price_set"),
        major: Some(2),
        many: 50,
        groups: "sets_with_prices",
        most: "most_prices_a_set",
        over: "sets_over_50_prices",
    },
    Group {
        child: "price",
        key: "price_list_id",
        parent: None,
        major: Some(2),
        many: 10_000,
        groups: "lists_with_prices",
        most: "most_prices_a_list",
        over: "lists_over_10000_prices",
    },
    Group {
        child: "money_amount",
        key: "price_list_id",
        parent: None,
        major: Some(1),
        many: 10_000,
        groups: "lists_with_prices",
        most: "most_prices_a_list",
        over: "lists_over_10000_prices",
    },
    Group {
        child: "product_variant",
        key: "product_id",
        parent: Some("product"),
        major: None,
        many: 100,
        groups: "products_with_variants",
        most: "most_variants_a_product",
        over: "products_over_100_variants",
    },
    Group {
        child: "product_sales_channel",
        key: "sales_channel_id",
        parent: None,
        major: None,
        many: 2_000,
        groups: "channels_with_products",
        most: "most_products_a_channel",
        over: "channels_over_2000_products",
    },
];
