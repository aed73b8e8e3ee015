//! Words and numbers for people.

use std::time::Duration;

use dhub_proto::span::span;

/// A name can have anything in it; on the terminal it stays on one line.
pub fn shown(name: &str) -> String {
    match name.chars().any(dhub_proto::steers_terminal) {
        true => format!("{name:?}"),
        false => name.to_owned(),
    }
}

pub fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", thousands(n as u64))
}

/// 9384 as 9,384.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// In whole seconds.
pub fn rounded(time: Duration) -> String {
    span(Duration::from_secs(time.as_secs_f64().round() as u64))
}

/// What the clock on the wall showed that long ago.
pub fn clock_time(ago: Duration) -> String {
    let now = jiff::Zoned::now();
    now.checked_sub(ago).unwrap_or(now).strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_for_people() {
        assert_eq!(count(1, "slot"), "1 slot");
        assert_eq!(count(12_345_678, "task"), "12,345,678 tasks");
        assert_eq!(count(0, "task"), "0 tasks");
        assert_eq!(shown("a b"), "a b");
        assert_eq!(shown("a\nb\x1b[2J"), r#""a\nb\u{1b}[2J""#);
        assert_eq!(shown("a\u{202e}b"), r#""a\u{202e}b""#);
        assert_eq!(rounded(Duration::from_millis(41_700)), "42 s");
    }
}
