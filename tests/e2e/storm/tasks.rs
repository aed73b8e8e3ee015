//! What the tasks do, and what must become of them.

use std::fmt::Write;

use fastrand::Rng;

/// What a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Does its work.
    Good,
    /// Fails each time, and has this many retries.
    Bad { retries: u32 },
    /// Fails at first, then does its work.
    Better,
    /// Never ends, and has this many retries.
    Endless { retries: u32 },
    /// Does not end at first, then does its work.
    Late,
}

impl Kind {
    pub fn succeeds(self) -> bool {
        matches!(self, Self::Good | Self::Better | Self::Late)
    }

    /// How often its attempts fail, if each of them comes to its end.
    pub fn failures(self) -> u32 {
        match self {
            Self::Good => 0,
            Self::Better | Self::Late => 1,
            Self::Bad { retries } | Self::Endless { retries } => retries + 1,
        }
    }

    /// The work is a line with name and attempt, written at once.
    fn command(self) -> &'static str {
        match self {
            Self::Good => "echo $DHUB_TASK $DHUB_ATTEMPT >>work",
            Self::Bad { .. } => "exit 3",
            Self::Better => {
                "test -e first.$DHUB_TASK || { : >first.$DHUB_TASK; exit 4; }; \
                 echo $DHUB_TASK $DHUB_ATTEMPT >>work"
            }
            // With a child of its own, in a session of its own, that must go as well.
            Self::Endless { .. } => "setsid sleep 1000 & sleep 1000",
            Self::Late => {
                "test -e first.$DHUB_TASK || { : >first.$DHUB_TASK; sleep 1000; }; \
                 echo $DHUB_TASK $DHUB_ATTEMPT >>work"
            }
        }
    }

    fn retries(self) -> u32 {
        match self {
            Self::Good => 0,
            Self::Bad { retries } | Self::Endless { retries } => retries,
            // Killed between its mark and its end it has not failed yet; it may only do so once.
            Self::Better | Self::Late => 1,
        }
    }
}

pub struct Plan {
    pub kinds: Vec<Kind>,
}

impl Plan {
    /// 1 % fails, 1 % is too slow; half of these for ever. The first ones have all kinds.
    pub fn new(tasks: usize, rng: &mut Rng) -> Self {
        let kinds = (0..tasks).map(|_| match rng.u32(0..1000) {
            0..3 => Kind::Bad { retries: 0 },
            3..5 => Kind::Bad { retries: 2 },
            5..10 => Kind::Better,
            10..14 => Kind::Endless { retries: 0 },
            14..15 => Kind::Endless { retries: 1 },
            15..20 => Kind::Late,
            _ => Kind::Good,
        });
        Self { kinds: kinds.collect() }
    }

    pub fn name(at: usize) -> String {
        format!("t{at}")
    }

    pub fn jsonl(&self) -> String {
        let mut text = String::new();
        for (at, kind) in self.kinds.iter().enumerate() {
            let task = serde_json::json!({
                "name": Self::name(at),
                "command": kind.command(),
                "retries": kind.retries(),
                // Far above what work takes on a busy machine.
                "time_limit": if matches!(kind, Kind::Endless { .. } | Kind::Late) { 0.5 } else { 60.0 },
            });
            writeln!(text, "{task}").expect("a string");
        }
        text
    }
}
