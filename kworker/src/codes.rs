//! Exit codes, as people list them: `75,130-140`.

use std::ops::RangeInclusive;
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes(Vec<RangeInclusive<i32>>);

impl Codes {
    pub fn contains(&self, code: i32) -> bool {
        self.0.iter().any(|codes| codes.contains(&code))
    }
}

impl FromStr for Codes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|part| range(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn range(text: &str) -> Result<RangeInclusive<i32>, String> {
    let code = |text: &str| match text.trim().parse::<u8>() {
        Ok(code) => Ok(i32::from(code)),
        Err(_) => Err(format!("'{text}' is no exit code; write for example 75,130-140")),
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (code(first)?, code(last)?),
        None => (code(text)?, code(text)?),
    };
    match first <= last {
        true => Ok(first..=last),
        false => Err(format!("{first}-{last}: the smaller one comes first")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ranges() {
        let codes: Codes = "75, 130-140,1".parse().unwrap();
        for (code, is_there) in [(1, true), (2, false), (75, true), (130, true), (140, true)] {
            assert_eq!(codes.contains(code), is_there, "{code}");
        }
        assert!(!codes.contains(141) && !codes.contains(-1));
        for wrong in ["", "1,", "a", "5-3", "256", "-1", "1-2-3"] {
            assert!(wrong.parse::<Codes>().is_err(), "{wrong}");
        }
    }
}
