//! How each of the three programs reads its command line: colours, completions, manual pages.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, Command, Parser};

use crate::completion;
use crate::disk::{Fault, words};
use crate::exit::Exit;
use crate::{manual, say};

/// Of scripts/man.sh; in no help.
const MANUAL: &str = "--manual-into";

/// When text has colours.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct ColorOptions {
    /// When text has colours: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: ColorChoice,
}

/// The arguments of this process; ends it if they are wrong, or if help is all that was asked for. `prepare` adds
/// to the command what its type cannot say; `takes_names` tells the verbs that name what is there, by any name.
pub fn parse<P: Parser>(
    prepare: impl Fn(Command) -> Command,
    takes_names: impl Fn(&str) -> bool,
) -> P {
    let command = || prepare(P::command());
    // A shell asks what could be typed next.
    completion::answer(command);
    let args: Vec<OsString> = std::env::args_os().collect();
    if let [_, option, dir] = args.as_slice()
        && option == MANUAL
    {
        std::process::exit(write_manual(command(), Path::new(dir)) as i32);
    }
    // Also of the text that says what is wrong with the rest of the line.
    let color = color(args.iter().skip(1));
    match color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    let verb = verb(&command(), &args).is_some_and(|verb| takes_names(&verb));
    let matches = command().color(color).try_get_matches_from(args).unwrap_or_else(|mut error| {
        if !verb {
            drop_dashes_tip(&mut error);
        }
        error.exit()
    });
    P::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command()).exit())
}

/// Is what goes to standard error to have colours?
pub fn stderr_has_colors() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// What `--color` says, as far as it can be understood.
fn color<'a>(mut args: impl Iterator<Item = &'a OsString>) -> ColorChoice {
    let mut color = ColorChoice::Auto;
    while let Some(arg) = args.next() {
        let value = match arg.to_str() {
            // What follows are words of another program.
            Some("--") => break,
            Some("--color") => args.next().and_then(|next| next.to_str()),
            Some(arg) => arg.strip_prefix("--color="),
            None => None,
        };
        color = value.and_then(|value| value.parse().ok()).unwrap_or(color);
    }
    color
}

/// The first word that is one, as far as can be said of a line that is wrong.
fn verb(command: &Command, args: &[OsString]) -> Option<String> {
    let mut words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    words.find(|word| command.find_subcommand(word).is_some()).map(str::to_owned)
}

/// clap advises `--` before each option that it does not know. Where no name can be meant, that leads to a task or
/// a file that is called like the option.
fn drop_dashes_tip(error: &mut clap::Error) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return };
    let dashes = format!("'-- {word}'");
    if let Some(ContextValue::StyledStrs(mut tips)) = error.remove(ContextKind::Suggested) {
        tips.retain(|tip| !tip.to_string().contains(&dashes));
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
    }
}

fn write_manual(command: Command, dir: &Path) -> Exit {
    match manual::write(command, dir) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            let why = words(&error);
            say(format_args!("cannot write manual pages into {}: {why}", dir.display()));
            if Fault::of(&error).is_some() { Exit::Disk } else { Exit::System }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colours_of_errors_are_chosen_before_the_line_is_read() {
        let of = |line: &str| color(line.split(' ').map(OsString::from).collect::<Vec<_>>().iter());
        assert_eq!(of("list --failed"), ColorChoice::Auto);
        assert_eq!(of("list --color=always --nosuch"), ColorChoice::Always);
        assert_eq!(of("--color never list"), ColorChoice::Never);
        assert_eq!(of("--color sometimes"), ColorChoice::Auto);
        assert_eq!(of("-- ls --color=always"), ColorChoice::Auto);
        assert_eq!(of("--color"), ColorChoice::Auto);
    }
}
