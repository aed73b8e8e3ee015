//! Who may read what a program writes.

use std::fmt;

/// The mode of a file; never one that lets others write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// Its user alone.
    pub const PRIVATE: Self = Self(0o600);

    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim_start_matches('0') {
            "600" => Ok(Self(0o600)),
            "640" => Ok(Self(0o640)),
            "644" => Ok(Self(0o644)),
            _ => Err("it is 0600, 0640 or 0644: nobody but you may write".into()),
        }
    }

    pub fn bits(self) -> u32 {
        self.0
    }

    /// Of a directory: who may read the files may enter it.
    pub fn of_dir(self) -> u32 {
        let reads = self.0 & 0o444;
        self.0 | reads >> 2
    }
}

impl Default for Mode {
    fn default() -> Self {
        Self::PRIVATE
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// The same option in all programs that write files.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct ModeOption {
    /// Who may read the files that are written: 0600 (you), 0640 (your group too) or 0644 (everybody),
    /// whatever the umask
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = Mode::parse)]
    pub file_mode: Mode,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_may_ever_write() {
        let parse = |text| Mode::parse(text).map(|mode| (mode.bits(), mode.of_dir()));
        assert_eq!(parse("0600"), Ok((0o600, 0o700)));
        assert_eq!(parse("640"), Ok((0o640, 0o750)));
        assert_eq!(parse("0644"), Ok((0o644, 0o755)));
        for text in ["0660", "0666", "0622", "0700", "0000", "", "rw", "1600", "600 "] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(Mode::default().to_string(), "0600");
    }
}
