//! The functions of the rules language that conditions use.

use super::eval::{Cell, Truth};

/// Calls a function; one that is not known gives `Unknown` with its name.
pub fn call(name: &str, arguments: Vec<Cell>) -> Cell {
    match name {
        "any" => over(name, &arguments, Truth::No, Truth::max),
        "all" => over(name, &arguments, Truth::Yes, Truth::min),
        "len" => length(arguments),
        "has_key" => has_key(&arguments),
        "has_value" => has_value(&arguments),
        "concat" => concat(&arguments),
        "remove_query_args" => remove_query_args(&arguments),
        "lower" | "upper" | "url_decode" | "starts_with" | "ends_with" | "substring" | "to_string" | "remove_bytes" => mapped(name, arguments),
        other => Cell::Unknown(format!("{other}()")),
    }
}

fn unknown(name: &str) -> Cell {
    Cell::Unknown(format!("{name}() of what it does not take"))
}

fn over(name: &str, arguments: &[Cell], start: Truth, join: fn(Truth, Truth) -> Truth) -> Cell {
    let (Some(Cell::Each(all) | Cell::List(all)), 1) = (arguments.first(), arguments.len()) else {
        return match arguments.first() {
            Some(Cell::Unknown(what)) => Cell::Unknown(what.clone()),
            Some(Cell::Missing) => Cell::Bool(start),
            _ => unknown(name),
        };
    };
    let mut not_told = None;
    let truth = all.iter().fold(start, |so_far, cell| {
        let next = match cell {
            Cell::Bool(truth) => *truth,
            Cell::Missing => Truth::No,
            Cell::Unknown(what) => {
                not_told = Some(what.clone());
                Truth::Unknown
            }
            _ => Truth::Unknown,
        };
        join(so_far, next)
    });
    match (truth, not_told) {
        (Truth::Unknown, Some(what)) => Cell::Unknown(what),
        (Truth::Unknown, None) => unknown(name),
        (truth, _) => Cell::Bool(truth),
    }
}

fn length(mut arguments: Vec<Cell>) -> Cell {
    if arguments.len() != 1 {
        return unknown("len");
    }
    match arguments.remove(0) {
        Cell::Text(text) => count(text.len()),
        Cell::List(all) => count(all.len()),
        Cell::Map(all) => count(all.len()),
        Cell::Each(all) => Cell::List(all.into_iter().map(|c| length(vec![c])).collect()),
        other @ (Cell::Missing | Cell::Unknown(_)) => other,
        _ => unknown("len"),
    }
}

fn count(n: usize) -> Cell {
    i64::try_from(n).map_or_else(|_| unknown("len"), Cell::Int)
}

fn has_key(arguments: &[Cell]) -> Cell {
    match arguments {
        [Cell::Map(map), Cell::Text(key)] => Cell::truth(map.iter().any(|(n, _)| n == key)),
        [Cell::Unknown(what), _] => Cell::Unknown(what.clone()),
        [Cell::Missing, _] => Cell::truth(false),
        _ => unknown("has_key"),
    }
}

fn has_value(arguments: &[Cell]) -> Cell {
    match arguments {
        [Cell::List(all) | Cell::Each(all), wanted @ Cell::Text(_)] => Cell::truth(all.contains(wanted)),
        [Cell::Unknown(what), _] => Cell::Unknown(what.clone()),
        [Cell::Missing, _] => Cell::truth(false),
        _ => unknown("has_value"),
    }
}

fn concat(arguments: &[Cell]) -> Cell {
    let mut text = String::new();
    for argument in arguments {
        match argument {
            Cell::Text(part) => text.push_str(part),
            Cell::Int(number) => text.push_str(&number.to_string()),
            Cell::Missing => {}
            Cell::Unknown(what) => return Cell::Unknown(what.clone()),
            _ => return unknown("concat"),
        }
    }
    Cell::Text(text)
}

/// The query without the named parameters, the others in their order.
fn remove_query_args(arguments: &[Cell]) -> Cell {
    let names: Vec<&str> = arguments.iter().skip(1).filter_map(|a| if let Cell::Text(name) = a { Some(name.as_str()) } else { None }).collect();
    match arguments.first() {
        Some(Cell::Text(query)) if names.len() + 1 == arguments.len() => {
            let is_kept = |part: &&str| !names.contains(&part.split('=').next().unwrap_or(""));
            Cell::Text(query.split('&').filter(is_kept).collect::<Vec<_>>().join("&"))
        }
        Some(Cell::Unknown(what)) => Cell::Unknown(what.clone()),
        _ => unknown("remove_query_args"),
    }
}

/// Functions of one text: of `x[*]` they make a list.
fn mapped(name: &str, mut arguments: Vec<Cell>) -> Cell {
    if arguments.is_empty() {
        return unknown(name);
    }
    let first = arguments.remove(0);
    match first {
        Cell::Each(all) => Cell::List(all.into_iter().map(|c| of_one(name, c, &arguments)).collect()),
        one => of_one(name, one, &arguments),
    }
}

fn of_one(name: &str, first: Cell, rest: &[Cell]) -> Cell {
    let text = match (name, first) {
        ("to_string", Cell::Int(number)) => return Cell::Text(number.to_string()),
        ("to_string", Cell::Bool(truth)) if truth != Truth::Unknown => return Cell::Text((truth == Truth::Yes).to_string()),
        (_, Cell::Text(text)) => text,
        ("starts_with" | "ends_with", Cell::Missing) => return Cell::truth(false),
        (_, other @ (Cell::Missing | Cell::Unknown(_))) => return other,
        _ => return unknown(name),
    };
    match (name, rest) {
        ("to_string", []) => Cell::Text(text),
        ("lower", []) => Cell::Text(text.to_ascii_lowercase()),
        ("upper", []) => Cell::Text(text.to_ascii_uppercase()),
        ("url_decode", []) => Cell::Text(url_decode(&text)),
        ("starts_with", [Cell::Text(part)]) => Cell::truth(text.starts_with(part.as_str())),
        ("ends_with", [Cell::Text(part)]) => Cell::truth(text.ends_with(part.as_str())),
        ("remove_bytes", [Cell::Text(bytes)]) => Cell::Text(text.chars().filter(|c| !bytes.contains(*c)).collect()),
        ("substring", [Cell::Int(from)]) => Cell::Text(substring(&text, *from, i64::MAX)),
        ("substring", [Cell::Int(from), Cell::Int(to)]) => Cell::Text(substring(&text, *from, *to)),
        _ => unknown(name),
    }
}

/// Bytes `from` to `to`, negative ones counted from the end.
fn substring(text: &str, from: i64, to: i64) -> String {
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let place = |at: i64| usize::try_from((if at < 0 { at.saturating_add(length) } else { at }).clamp(0, length)).unwrap_or(0);
    let (from, to) = (place(from), place(to));
    String::from_utf8_lossy(text.as_bytes().get(from..to).unwrap_or(&[])).into_owned()
}

fn url_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|d| std::str::from_utf8(d).ok());
        let code = digits.filter(|d| d.chars().all(|c| c.is_ascii_hexdigit())).and_then(|d| u8::from_str_radix(d, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
