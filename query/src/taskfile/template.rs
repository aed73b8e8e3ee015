//! `--command './sim {}'`: the command of every line, with its name where {} stands.

/// Characters that quoting makes of one, at most: ' becomes "'" between quotes.
const QUOTED_BYTES_MAX: usize = 5;

#[derive(Debug)]
pub struct Template {
    /// What stands before, between and after the places of the name.
    pieces: Vec<String>,
}

impl Template {
    pub fn new(text: &str) -> Self {
        Self { pieces: text.split("{}").map(str::to_owned).collect() }
    }

    /// The command for a name. The shell sees the name as one word, whatever is in it.
    pub fn fill(&self, name: &str, command: &mut String) {
        command.clear();
        // Names have no NUL, and nothing else cannot be quoted.
        let quoted = shlex::try_quote(name).unwrap_or_default();
        for (index, piece) in self.pieces.iter().enumerate() {
            if index > 0 {
                command.push_str(&quoted);
            }
            command.push_str(piece);
        }
    }

    /// A bound for the length of a command.
    pub fn bytes_at_most(&self, name_bytes: usize) -> usize {
        let pieces: usize = self.pieces.iter().map(String::len).sum();
        pieces + (self.pieces.len() - 1) * (QUOTED_BYTES_MAX * name_bytes + 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, name: &str) -> String {
        let mut command = "old".to_owned();
        Template::new(template).fill(name, &mut command);
        command
    }

    #[test]
    fn the_name_is_one_word_to_the_shell() {
        assert_eq!(fill("./sim {}", "a-1"), "./sim a-1");
        assert_eq!(fill("./sim {} > {}.out", "a b"), "./sim 'a b' > 'a b'.out");
        assert_eq!(fill("./sim {}", "$(rm -rf x); `y`"), "./sim '$(rm -rf x); `y`'");
        assert_eq!(fill("./all", "a"), "./all");
        for name in ["it's", "a\nb", "*", "~", "!x", "\"", "größe", "\\", "-n"] {
            let command = fill("x {}", name);
            assert_eq!(shlex::split(&command), Some(vec!["x".to_owned(), name.to_owned()]));
        }
    }

    #[test]
    fn the_bound_holds() {
        let name = "'".repeat(100);
        let template = "a {} b {}";
        assert!(fill(template, &name).len() <= Template::new(template).bytes_at_most(100));
    }
}
