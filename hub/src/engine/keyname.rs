//! What a key is called inside the hub and in its file: its name and a mark of its public key, so that one
//! made anew under the same name is another. People, and who asks, get to see the name alone.

/// No name has it.
pub const MARK: char = '#';
/// Without the mark.
pub fn shown(key: &str) -> &str {
    key.split(MARK).next().unwrap_or_default()
}

/// As hubs wrote it that knew keys by their names alone.
pub fn is_unmarked(key: &str) -> bool {
    !key.contains(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_sees_the_name_alone() {
        assert_eq!(["lab#01010101", "lab", "?", ""].map(shown), ["lab", "lab", "?", ""]);
        assert!(is_unmarked("lab") && !is_unmarked("lab#01010101"));
    }
}
