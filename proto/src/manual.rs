//! Manual pages: one for a program and one for each of its verbs, made of what `--help` says.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::VERSION;

/// Writes `PROGRAM.1`, `PROGRAM-VERB.1` and so on.
pub fn write(command: Command, dir: &Path) -> io::Result<()> {
    let mut command = without_help(command);
    command.build();
    page_and_verbs(&command, dir)
}

/// clap's own verb says nothing that `--help` does not.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

fn page_and_verbs(command: &Command, dir: &Path) -> io::Result<()> {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page_and_verbs(verb, dir)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut file = fs::File::create(dir.join(format!("{name}.1")))?;
    page(command, name, &mut file)?;
    file.flush()
}

fn page(command: &Command, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    let help = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    // There is no date, of which clap_mangen would make no argument at all.
    writeln!(out, ".TH \"{}\" \"1\" \"\" \"dhub {VERSION}\" \"dhub\"", name.to_uppercase())?;
    let man = Man::new(command.clone());
    man.render_name_section(out)?;
    synopsis(&usage).to_writer(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
        man.render_subcommands_section(out)?;
    }
    extra(help.as_deref().unwrap_or_default()).to_writer(out)
}

fn synopsis(usage: &str) -> Roff {
    let mut roff = Roff::default();
    roff.control("SH", ["SYNOPSIS"]);
    for (index, line) in usage.trim_start_matches("Usage:").trim().lines().enumerate() {
        if index > 0 {
            roff.control("br", []);
        }
        // As far as it has to be typed as it stands.
        let line = line.trim();
        let literal = [" [", " <", " -"].iter().filter_map(|it| line.find(it)).min();
        let (name, rest) = line.split_at(literal.unwrap_or(line.len()));
        roff.text([bold(name), roman(rest)]);
    }
    roff
}

/// What follows the options in the help keeps its lines, under headings that manuals have.
fn extra(help: &str) -> Roff {
    let mut roff = Roff::default();
    for block in help.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let (title, rest) = block.split_once('\n').unwrap_or((block, ""));
        let (heading, lines) = match title.trim() {
            "Examples:" => ("EXAMPLES", rest),
            "Exit codes:" => ("EXIT STATUS", rest),
            _ => ("NOTES", block),
        };
        roff.control("SH", [heading]);
        roff.control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_has_a_page_with_its_examples_line_by_line() {
        let verb = Command::new("go").about("Goes").after_help(
            "Examples:\n  prog go           somewhere\n  prog go 'a.b'\n\nExit codes:\n  0  went",
        );
        let command = Command::new("prog").about("Does it").subcommand(verb);
        let dir = tempfile::tempdir().expect("a directory");
        write(command, dir.path()).expect("pages");
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .expect("a directory")
            .map(|it| it.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        assert_eq!(names, ["prog-go.1", "prog.1"]);
        let page = fs::read_to_string(dir.path().join("prog-go.1")).expect("a page");
        for part in [
            ".SH SYNOPSIS\n\\fBprog go\\fR",
            ".SH EXAMPLES\n.nf\n  prog go           somewhere\n  prog go \\*(Aqa.b\\*(Aq\n.fi\n",
            ".SH \"EXIT STATUS\"\n.nf\n  0  went\n",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
