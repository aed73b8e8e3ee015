//! Colours, as the other verbs have them, where the terminal is to have any.

use std::io::stdout;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Color as AnyColor, Effects};
use ratatui::style::{Color, Modifier, Style};

#[derive(Clone, Copy)]
pub struct Palette {
    pub colours: bool,
}

impl Palette {
    /// NO_COLOR and its like are respected.
    pub fn of_terminal() -> Self {
        Self { colours: AutoStream::choice(&stdout()) != ColorChoice::Never }
    }

    /// Without colours nothing is faint either: with some terminals that is a colour too.
    pub fn style(self, style: anstyle::Style) -> Style {
        let mut out = Style::new();
        let effects = style.get_effects();
        if effects.contains(Effects::BOLD) {
            out = out.add_modifier(Modifier::BOLD);
        }
        if effects.contains(Effects::DIMMED) && self.colours {
            out = out.add_modifier(Modifier::DIM);
        }
        match style.get_fg_color() {
            Some(AnyColor::Ansi(colour)) if self.colours => out.fg(of_sixteen(colour)),
            _ => out,
        }
    }

    /// The row that keys speak of.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

fn of_sixteen(colour: AnsiColor) -> Color {
    match colour {
        AnsiColor::Red => Color::Red,
        AnsiColor::Green => Color::Green,
        AnsiColor::Yellow => Color::Yellow,
        AnsiColor::Cyan => Color::Cyan,
        // The verbs use no others.
        _ => Color::Reset,
    }
}
