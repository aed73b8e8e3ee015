//! `--halt`: after how many failures a pool has enough, in the words of GNU parallel.

use std::fmt;
use std::str::FromStr;

/// Of a part fewer say nothing yet, as in GNU parallel.
const FAILED_MIN: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt {
    /// End what runs; otherwise it may end by itself.
    pub now: bool,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Tasks(u64),
    /// Of those that ended here.
    Percent(u8),
}

impl Halt {
    /// Is it enough when so many tasks failed, and so many are done?
    pub fn is_due(self, failed: u64, done: u64) -> bool {
        match self.at {
            At::Tasks(most) => failed >= most,
            At::Percent(most) => {
                let ended = failed.saturating_add(done);
                failed >= FAILED_MIN
                    && failed.saturating_mul(100) >= ended.saturating_mul(most.into())
            }
        }
    }
}

impl FromStr for Halt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is neither soon nor now, a comma, and fail=N or fail=N%, in small letters; N is a whole number"
            )
        };
        let (when, at) = text.split_once(',').ok_or_else(wrong)?;
        let now = match when.trim() {
            "now" => true,
            "soon" => false,
            _ => return Err(wrong()),
        };
        let at = at.trim().strip_prefix("fail=").ok_or_else(wrong)?;
        let at = match at.strip_suffix('%') {
            Some(percent) => At::Percent(whole(percent).ok_or_else(wrong)?),
            None => At::Tasks(whole(at).ok_or_else(wrong)?),
        };
        match at {
            At::Tasks(0) => Err("fail=0 would halt before anything fails".into()),
            At::Percent(percent) if !(1..=100).contains(&percent) => {
                Err("a part of the tasks is 1% to 100%".into())
            }
            at => Ok(Self { now, at }),
        }
    }
}

/// Digits alone: what `parse` takes has a sign, if it likes.
fn whole<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let when = if self.now { "now" } else { "soon" };
        match self.at {
            At::Tasks(tasks) => write!(f, "{when},fail={tasks}"),
            At::Percent(percent) => write!(f, "{when},fail={percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_parallel() {
        for text in ["now,fail=1", "soon,fail=12", "soon,fail=5%"] {
            assert_eq!(text.parse::<Halt>().unwrap().to_string(), text);
        }
        for text in
            ["", "now", "fail=1", "later,fail=1", "now,success=1", "now,fail=", "now,fail=0"]
        {
            assert!(text.parse::<Halt>().is_err(), "{text}");
        }
        for text in ["now,fail=+1", "now,fail=+5%", "now,fail=2.5%", "Now,fail=1", "now,FAIL=1"] {
            let why = text.parse::<Halt>().unwrap_err();
            assert!(why.ends_with("in small letters; N is a whole number"), "{why}");
        }
        assert!("now,fail=0%".parse::<Halt>().is_err() && "now,fail=101%".parse::<Halt>().is_err());
    }

    #[test]
    fn a_number_or_a_part_of_what_ended() {
        let due = |text: &str, failed, done| text.parse::<Halt>().unwrap().is_due(failed, done);
        assert!(!due("now,fail=2", 1, 0) && due("now,fail=2", 2, 1_000_000));
        assert!(!due("soon,fail=5%", 2, 0), "two say nothing yet");
        assert!(due("soon,fail=5%", 3, 57) && !due("soon,fail=5%", 3, 58));
        assert!(due("soon,fail=100%", 3, 0) && !due("soon,fail=100%", 300, 1));
    }
}
