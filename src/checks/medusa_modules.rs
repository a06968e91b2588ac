//! To which module of Medusa v2 a table belongs, so that a finding names what a developer looks for.

use std::collections::HashSet;
use std::sync::OnceLock;

use serde::Deserialize;

use super::medusa::{is_link_table, is_stock_table};

/// Beginnings of table names and their module, longest first where one begins another.
const MODULES: [(&str, &str); 37] = [
    ("order", "Order"),
    ("return", "Order"),
    ("cart", "Cart"),
    ("credit_line", "Cart"),
    ("product", "Product"),
    ("image", "Product"),
    ("price", "Pricing"),
    ("promotion", "Promotion"),
    ("application_method", "Promotion"),
    ("customer", "Customer"),
    ("inventory", "Inventory"),
    ("reservation", "Inventory"),
    ("stock_location", "Stock Location"),
    ("sales_channel", "Sales Channel"),
    ("region", "Region"),
    ("payment", "Payment"),
    ("account_holder", "Payment"),
    ("capture", "Payment"),
    ("refund", "Payment"),
    ("fulfillment", "Fulfillment"),
    ("shipping", "Fulfillment"),
    ("service_zone", "Fulfillment"),
    ("geo_zone", "Fulfillment"),
    ("tax", "Tax"),
    ("store", "Store"),
    ("currency", "Currency"),
    ("user", "User"),
    ("invite", "User"),
    ("auth", "Auth"),
    ("provider_identity", "Auth"),
    ("api_key", "API Key"),
    ("notification", "Notification"),
    ("workflow", "Workflow Engine"),
    ("search", "Search"),
    ("view_configuration", "Settings"),
    ("layout_configuration", "Settings"),
    ("property_label", "Settings"),
];

/// "the Pricing module", "a link table of Medusa", "a table of your own".
pub fn owner(major: Option<u8>, table: &str) -> String {
    match major {
        Some(2) if is_link_table(table) => "a link table of Medusa".to_owned(),
        Some(2) if is_stock_table(table) => match module(table) {
            Some(name) => format!("the {name} module"),
            None => "Medusa itself".to_owned(),
        },
        Some(1) if is_stock_table(table) => "Medusa itself".to_owned(),
        Some(1 | 2) => "a table of your own".to_owned(),
        _ => "the database".to_owned(),
    }
}

fn module(table: &str) -> Option<&'static str> {
    MODULES
        .iter()
        .find(|(head, _)| table.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with('_') || rest == "s"))
        .map(|(_, m)| *m)
}

/// Columns that stock Medusa's own statements look rows up by, `table(column)`, as recorded.
#[derive(Deserialize)]
struct Lookups {
    one: HashSet<String>,
    r#in: HashSet<String>,
}

/// Whether stock Medusa itself sends lookups like this: with `=`, or with `in (…)`, of which it sends many with one value.
pub fn is_stock_lookup(table: &str, column: &str, is_list: bool) -> bool {
    static KNOWN: OnceLock<Lookups> = OnceLock::new();
    let known =
        KNOWN.get_or_init(|| serde_json::from_str(include_str!("../../assets/medusa/lookups.json")).expect("the embedded lookups are well formed"));
    let set = if is_list { &known.r#in } else { &known.one };
    set.contains(&format!("{table}({column})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_by_their_module() {
        assert_eq!(owner(Some(2), "price_rule"), "the Pricing module");
        assert_eq!(owner(Some(2), "order_line_item"), "the Order module");
        assert_eq!(owner(Some(2), "product_sales_channel"), "a link table of Medusa");
        assert_eq!(owner(Some(2), "review"), "a table of your own");
        assert_eq!(owner(Some(1), "money_amount"), "Medusa itself");
        assert_eq!(owner(None, "review"), "the database");
    }

    #[test]
    fn lookups_of_medusa_itself_are_known() {
        assert!(is_stock_lookup("region", "id", true) && is_stock_lookup("cart", "id", false));
        assert!(is_stock_lookup("product_variant", "product_id", true) && !is_stock_lookup("product_variant", "product_id", false));
        assert!(!is_stock_lookup("review", "product_id", true));
    }

    #[test]
    fn every_table_of_medusa_has_an_owner() {
        let mut lonely = crate::checks::medusa::stock_tables(2);
        lonely.retain(|t| owner(Some(2), t) == "Medusa itself");
        assert_eq!(lonely, ["link_module_migrations", "mikro_orm_migrations", "script_migrations"]);
    }
}
