//! Placeholders in a script: references to variables, quoted as their place demands.
//!
//! If that place is misjudged (a here-document, a `case` inside `$(...)`), the word comes out wrong,
//! but is still not run.

use super::place::{self, PLACES};

/// Where in a script something stands, as far as quoting goes.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Not quoted; inside `$(...)` with how many parentheses of its own open.
    Plain(usize),
    Backticks,
    Single,
    Double,
}

/// Replaces each placeholder by a reference to its variable that stays one word where it stands.
pub fn refer(script: &str) -> String {
    let mut out = String::with_capacity(script.len() + 16);
    let mut places = vec![Place::Plain(0)];
    let mut rest = script;
    let (mut word_starts, mut follows_dollar) = (true, false);
    while let Some(c) = rest.chars().next() {
        let place = places.last().copied().unwrap_or(Place::Plain(0));
        let is_here =
            |it: &&place::Place| it.is_placeholder(follows_dollar) && rest.starts_with(it.written);
        if let Some(placeholder) = PLACES.iter().find(is_here) {
            let (before, behind) = match place {
                Place::Plain(_) | Place::Backticks => ("\"", "\""),
                Place::Double => ("", ""),
                Place::Single => ("'\"", "\"'"),
            };
            out.extend([before, "${", placeholder.variable, "}", behind]);
            rest = &rest[placeholder.written.len()..];
            (word_starts, follows_dollar) = (false, false);
            continue;
        }
        let mut taken = c.len_utf8();
        match (place, c) {
            (Place::Single, '\'') => drop(places.pop()),
            (Place::Single, _) => {}
            (_, '\\') => taken += rest[taken..].chars().next().map_or(0, char::len_utf8),
            (_, '$') if rest.starts_with("$(") => {
                places.push(Place::Plain(0));
                taken = 2;
            }
            (Place::Backticks, '`') => drop(places.pop()),
            (_, '`') => places.push(Place::Backticks),
            (Place::Double, '"') => drop(places.pop()),
            (Place::Double, _) => {}
            (_, '"') => places.push(Place::Double),
            (_, '\'') => places.push(Place::Single),
            // A comment: its apostrophes open nothing.
            (_, '#') if word_starts => taken = rest.find('\n').unwrap_or(rest.len()),
            (Place::Plain(open), '(') => set_last(&mut places, Place::Plain(open + 1)),
            (Place::Plain(0), ')') if places.len() > 1 => drop(places.pop()),
            (Place::Plain(open), ')') => {
                set_last(&mut places, Place::Plain(open.saturating_sub(1)));
            }
            _ => {}
        }
        follows_dollar = c == '$' && taken == 1;
        word_starts = rest.starts_with("$(") || " \t\n;&|()`".contains(c);
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

fn set_last(places: &mut [Place], place: Place) {
    if let Some(last) = places.last_mut() {
        *last = place;
    }
}
