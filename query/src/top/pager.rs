//! A place in a text that is longer than the screen.

#[derive(Default)]
pub struct Pager {
    top: usize,
    height: usize,
    lines: usize,
}

impl Pager {
    /// Of a text of so many lines on a screen of so many: the lines to show.
    pub fn fit(&mut self, lines: usize, height: usize) -> std::ops::Range<usize> {
        (self.lines, self.height) = (lines, height);
        self.top = self.top.min(lines.saturating_sub(height));
        self.top..lines.min(self.top + height)
    }

    pub fn scroll(&mut self, scroll: Scroll) {
        let last = self.lines.saturating_sub(self.height);
        self.top = scroll.from(self.top, self.height).min(last);
    }
}

/// What the keys for moving say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scroll {
    Up,
    Down,
    PageUp,
    PageDown,
    Start,
    End,
}

impl Scroll {
    /// The place that it leads to; the end has no number.
    pub fn from(self, place: usize, page: usize) -> usize {
        // A line stays, so that people see where they are.
        let page = page.saturating_sub(1).max(1);
        match self {
            Self::Up => place.saturating_sub(1),
            Self::Down => place.saturating_add(1),
            Self::PageUp => place.saturating_sub(page),
            Self::PageDown => place.saturating_add(page),
            Self::Start => 0,
            Self::End => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_is_beyond_the_text() {
        let mut pager = Pager::default();
        assert_eq!(pager.fit(10, 4), 0..4);
        pager.scroll(Scroll::PageDown);
        assert_eq!(pager.fit(10, 4), 3..7);
        pager.scroll(Scroll::End);
        assert_eq!(pager.fit(10, 4), 6..10);
        assert_eq!(pager.fit(10, 20), 0..10, "a larger window shows more");
        pager.scroll(Scroll::Down);
        assert_eq!(pager.fit(10, 20), 0..10);
        pager.scroll(Scroll::Up);
        assert_eq!(pager.fit(0, 20), 0..0);
    }
}
