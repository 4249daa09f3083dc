//! The one form that dashboards are written in: keys in order, and on one line whatever fits there.

use serde_json::Value;

/// The longest line.
const WIDTH: usize = 120;

/// A whole file.
pub(super) fn format(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, 0, &mut out);
    out.push('\n');
    out
}

/// A value that begins in a column, in a container of that depth.
fn write(value: &Value, depth: usize, column: usize, out: &mut String) {
    let line = inline(value);
    // A comma may follow.
    if column + line.chars().count() < WIDTH {
        return out.push_str(&line);
    }
    let indent = "  ".repeat(depth + 1);
    let part = |out: &mut String, n: usize, key: &str, value: &Value| {
        out.push_str(if n == 0 { "\n" } else { ",\n" });
        out.push_str(&indent);
        out.push_str(key);
        write(value, depth + 1, indent.len() + key.chars().count(), out);
    };
    match value {
        Value::Array(values) if !values.is_empty() => {
            out.push('[');
            values.iter().enumerate().for_each(|(n, value)| part(out, n, "", value));
            out.push_str(&format!("\n{}]", "  ".repeat(depth)));
        }
        Value::Object(values) if !values.is_empty() => {
            out.push('{');
            values
                .iter()
                .enumerate()
                .for_each(|(n, (key, value))| part(out, n, &format!("{}: ", Value::from(key.as_str())), value));
            out.push_str(&format!("\n{}}}", "  ".repeat(depth)));
        }
        _ => out.push_str(&line),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(values) if values.is_empty() => "{}".into(),
        Value::Object(values) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), inline(value));
            format!("{{{}}}", values.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[test]
fn what_fits_on_a_line_stands_on_one() {
    let short = serde_json::json!({"b": [1, {"c": null}], "a": {}});
    assert_eq!(format(&short), "{\"a\": {}, \"b\": [1, {\"c\": null}]}\n");
    let long = serde_json::json!({"a": "x".repeat(70), "b": ["y".repeat(70)], "c": "ü"});
    let (x, y) = ("x".repeat(70), "y".repeat(70));
    assert_eq!(format(&long), format!("{{\n  \"a\": \"{x}\",\n  \"b\": [\"{y}\"],\n  \"c\": \"ü\"\n}}\n"));
}
