//! How each of the three programs reads its command line: colours, completions, manual pages.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::num::{IntErrorKind, ParseIntError};
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, Command, Parser};

use crate::completion;
use crate::disk::{Fault, output, words};
use crate::exit::Exit;
use crate::{manual, say, shell};

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
    let words = args.clone();
    let matches = command().color(color).try_get_matches_from(args).unwrap_or_else(|mut error| {
        if error.kind() == ErrorKind::UnknownArgument {
            change_dashes_tip(&mut error, verb.then_some(&words));
        }
        end(&error, P::command().get_name())
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
/// a file that is called like the option; where one can be, it is the whole word.
fn change_dashes_tip(error: &mut clap::Error, names: Option<&Vec<OsString>>) {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return };
    let option = option.clone();
    let dashes = format!("'-- {option}'");
    let mut tips = match error.remove(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => tips,
        _ => Vec::new(),
    };
    match names {
        None => tips.retain(|tip| !tip.to_string().contains(&dashes)),
        Some(words) => {
            let word = shell::word(whole_word(&option, words));
            for tip in tips.iter_mut().filter(|tip| tip.to_string().contains(&dashes)) {
                let text = tip.ansi().to_string();
                *tip = text.replace(&option, &word).into();
            }
            // Not there where another option is called nearly so.
            if !tips.iter().any(|tip| tip.to_string().contains(&format!("'-- {word}'"))) {
                tips.push(format!("to pass '{word}' as a value, use '-- {word}'").into());
            }
        }
    }
    if !tips.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
}

/// Of `-dash`, clap says that it does not know `-d`; of `--name=x`, `--name`.
fn whole_word<'a>(option: &'a str, words: &'a [OsString]) -> &'a str {
    let words = || words.iter().skip(1).filter_map(|word| word.to_str());
    let has_it = |word: &&str| match option.strip_prefix('-') {
        Some(long) if long.starts_with('-') => word.split('=').next() == Some(option),
        Some(short) => word.starts_with('-') && !word.starts_with("--") && word.contains(short),
        None => false,
    };
    let exactly = words().find(|word| *word == option);
    exactly.or_else(|| words().find(has_it)).unwrap_or(option)
}

/// Says what is wrong with the line, or prints the help that was asked for.
fn end(error: &clap::Error, program: &str) -> ! {
    if let Some(words) = error.source().and_then(wrong_number) {
        let told = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        let text = error.render().ansi().to_string().replacen(&told, &format!(": {words}"), 1);
        // Who does not read it has the exit code.
        let _ = write!(anstream::stderr(), "{text}");
        std::process::exit(error.exit_code());
    }
    match error.print().and_then(|()| io::stdout().flush()) {
        Err(fault) if !error.use_stderr() && fault.kind() != io::ErrorKind::BrokenPipe => {
            let fault = output(fault);
            say(format_args!("{program}: cannot write to standard output: {}", words(&fault)));
            let exit = if Fault::of(&fault).is_some() { Exit::Disk } else { Exit::System };
            std::process::exit(exit as i32);
        }
        _ => std::process::exit(error.exit_code()),
    }
}

/// What clap says of a number in the words of its language.
fn wrong_number(source: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = source.downcast_ref::<ParseIntError>() {
        let number = match error.kind() {
            IntErrorKind::PosOverflow => "a smaller number",
            IntErrorKind::NegOverflow => "a larger number",
            _ => "a whole number",
        };
        return Some(format!("it takes {number}"));
    }
    let text = source.to_string();
    let (least, most) = text.split_once(" is not in ")?.1.split_once("..")?;
    let least: i64 = least.parse().ok()?;
    // Where there is no end, clap has that of the type.
    let most = most.strip_prefix('=').and_then(|most| most.parse().ok());
    let most: Option<i64> = most.filter(|most| *most < i64::from(u32::MAX));
    Some(match most {
        Some(most) => format!("it takes a whole number from {least} to {most}"),
        None => format!("it takes a whole number from {least}"),
    })
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
    #[test]
    fn the_word_that_is_no_option_is_the_whole_one() {
        let of = |option: &str, line: &str| {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            whole_word(option, &words).to_owned()
        };
        assert_eq!(of("-d", "dquery show -dash"), "-dash");
        assert_eq!(of("-d", "dquery show --dash -d"), "-d");
        assert_eq!(of("-d", "dquery show -ad -d"), "-d");
        assert_eq!(of("--it", "dquery show --item --it=2"), "--it=2");
        assert_eq!(of("--it", "dquery show it"), "--it");
    }

    #[test]
    fn a_wrong_number_is_told_in_words() {
        use clap::{Arg, value_parser};
        let says = |parser: clap::builder::ValueParser, value: &str| {
            let arg = Arg::new("n").long("n").allow_negative_numbers(true).value_parser(parser);
            let error = Command::new("it").arg(arg).try_get_matches_from(["it", "--n", value]);
            wrong_number(error.expect_err("wrong").source().expect("why")).expect("a number")
        };
        assert_eq!(says(value_parser!(i32).into(), "high"), "it takes a whole number");
        assert_eq!(says(value_parser!(u64).into(), "x"), "it takes a whole number");
        let whole = says(value_parser!(u64).into(), "99999999999999999999");
        assert_eq!(whole, "it takes a smaller number");
        let port = says(value_parser!(u16).into(), "99999");
        assert_eq!(port, "it takes a whole number from 0 to 65535");
        let from_1 = says(value_parser!(u64).range(1..).into(), "0");
        assert_eq!(from_1, "it takes a whole number from 1");
        let slots = says(value_parser!(u32).range(1..=100).into(), "0");
        assert_eq!(slots, "it takes a whole number from 1 to 100");
    }
}
