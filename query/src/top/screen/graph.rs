//! Tasks done a second, as long as `top` has been looking; the newest second at the right end.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{RenderDirection, Sparkline, Widget};

use super::super::state::State;
use super::text::{line, put};
use crate::render::cut::width;
use crate::render::words::{FAINT, GOOD, rate, span};

/// For the figures at the left.
const GUTTER: u16 = 9;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 || area.width <= GUTTER {
        return;
    }
    let graph = Rect { x: area.x + GUTTER, width: area.width - GUTTER, ..area };
    let rates: Vec<f64> = state.history.newest(graph.width.into()).collect();
    let most = rates.iter().copied().fold(0.0, f64::max);
    let faint = state.palette.style(FAINT);
    let mut say = |number, text: &str| {
        let column = usize::from(GUTTER - 1).saturating_sub(width(text)) as u16;
        put(buffer, line(area, number), column, text, faint);
    };
    say(0, &rate(most).unwrap_or_else(|| "0/s".into()));
    if area.height > 1 {
        let seconds = std::time::Duration::from_secs(rates.len() as u64);
        let text = if rates.is_empty() { String::new() } else { span(seconds) };
        say(area.height - 1, &text);
    }
    // In thousandths of the largest, so that small rates are seen too.
    let scaled = |rate: &f64| if most > 0.0 { (rate / most * 1000.0) as u64 } else { 0 };
    Sparkline::default()
        .data(rates.iter().map(scaled))
        .max(1000)
        .direction(RenderDirection::RightToLeft)
        .style(state.palette.style(GOOD))
        .render(graph, buffer);
}
