//! How long, for people: one form in all programs.

use std::time::Duration;

/// Two units at most: 0.9 ms, 42 s, 1 m 3 s, 2 h 14 m, 3 d 4 h.
pub fn span(time: Duration) -> String {
    let (ms, s) = (time.as_secs_f64() * 1e3, time.as_secs());
    match s {
        0 if ms < 99.95 => format!("{} ms", decimal(ms)),
        0..10 => format!("{} s", decimal(ms / 1e3)),
        10..60 => format!("{s} s"),
        60..600 => units(&[(s / 60, "m"), (s % 60, "s")]),
        600..3600 => format!("{} m", s / 60),
        3600..86_400 => units(&[(s / 3600, "h"), (s % 3600 / 60, "m")]),
        _ => units(&[(s / 86_400, "d"), (s % 86_400 / 3600, "h")]),
    }
}

pub fn span_ms(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

/// Of a time that a person has set, to the millisecond: 50 ms, 0.3 s, 1 m 30.5 s, 2 h.
pub fn exact(time: Duration) -> String {
    let (ms, s) = (time.as_millis(), time.as_secs());
    if ms < 100 {
        return format!("{ms} ms");
    }
    let below = format!("{}", (ms % 60_000) as f64 / 1e3);
    let below = if below == "0" { String::new() } else { format!("{below} s") };
    let above = units(&[(s / 86_400, "d"), (s % 86_400 / 3600, "h"), (s % 3600 / 60, "m")]);
    [above, below].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Those that are not 0.
fn units(parts: &[(u64, &str)]) -> String {
    let there = parts.iter().filter(|(count, _)| *count > 0);
    there.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// One digit after the point, and none if it is 0.
fn decimal(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_units_at_most() {
        let text = |ms| span_ms(ms);
        assert_eq!(text(0), "0 ms");
        assert_eq!(text(40), "40 ms");
        assert_eq!(text(100), "0.1 s");
        assert_eq!(text(5_000), "5 s");
        assert_eq!(text(63_000), "1 m 3 s");
        assert_eq!(text(41 * 60_000), "41 m");
        assert_eq!(text((2 * 60 + 14) * 60_000), "2 h 14 m");
        assert_eq!(text(76 * 3_600_000), "3 d 4 h");
        assert_eq!(span(Duration::from_micros(900)), "0.9 ms");
    }

    #[test]
    fn what_was_set_is_told_as_it_was_set() {
        let told = |ms| exact(Duration::from_millis(ms));
        let some = [0, 99, 100, 300, 2_500, 60_000, 90_500, 600_000, 690_000, 90_061_000];
        let expected = "0 ms|99 ms|0.1 s|0.3 s|2.5 s|1 m|1 m 30.5 s|10 m|11 m 30 s|1 d 1 h 1 m 1 s";
        assert_eq!(some.map(told).join("|"), expected);
    }
}
