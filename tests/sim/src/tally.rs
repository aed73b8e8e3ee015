//! What a run has met: a rule that holds because nothing happened would say nothing.

macro_rules! met {
    ($($kind:ident $what:literal)*) => {
        /// Something that a run can meet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Met { $($kind),* }

        impl Met {
            pub const ALL: [Met; [$($what),*].len()] = [$(Met::$kind),*];

            pub fn what(self) -> &'static str {
                match self { $(Met::$kind => $what),* }
            }
        }
    };
}

met! {
    MessageLost "messages lost"
    MessageDoubled "messages doubled"
    MessageDelayed "messages delayed by up to minutes, so that others overtake them"
    RequestRepeated "requests repeated on a new connection"
    ReplyFailed "replies that could not be sent"
    Forgotten "requests forgotten whose connection was gone"
    HubCrashed "crashes of the hub"
    ChangesLost "crashes of the hub with changes not committed"
    HubPaused "pauses of the hub"
    ClientCrashed "crashes of clients with nothing to wait for"
    ClientCrashedAsking "crashes of clients between request and reply"
    WorkerCrashed "crashes of workers that held nothing"
    WorkerCrashedHolding "crashes of workers that held tasks"
    Isolated "peers cut off from the network"
    ClockJumped "jumps of the wall clock"
    LeaseReclaimed "leases reclaimed"
    OutcomeAfterReclaim "outcomes taken after a reclaim"
    OutcomeRefused "outcomes refused"
    TaskFailedWithRetries "failures with retries left"
    TaskRetried "tasks brought back by a retry"
    TaskSkipped "tasks skipped"
    TaskGivenBack "tasks given back by a Release"
    TaskHeld "tasks held"
    HeldRestored "starts of the hub with tasks that are held"
    TaskAwaited "tasks waited for that were finished meanwhile"
    OrderTold "answers that told a worker to drain or to stop"
    UnheardTold "steals that were told what those before them were given"
    DetailsUnfolded "leases told with details that the tables lacked"
    LongTogether "long requests that came while another of the kind was under way"
    LongResumed "long requests that went on where a copy was cut off by a crash"
    CopyTold "copies of long requests that were told what was told before"
    RowDamaged "rows that were damaged"
    DamagedFailed "tasks that failed as their rows were damaged"
    KeptOut "turns in which tasks were ready and a steal waited for a place"
    RoomMade "turns in which tasks were ready and a worker made room for one that is tried alone"
    HubBusy "spells of more messages than the hub could take in"
}

#[derive(Clone, Debug)]
pub struct Tally([u64; Met::ALL.len()]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; Met::ALL.len()])
    }
}

impl Tally {
    pub fn note(&mut self, met: Met) {
        self.0[met as usize] += 1;
    }

    pub fn of(&self, met: Met) -> u64 {
        self.0[met as usize]
    }

    pub fn add(&mut self, other: &Tally) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }
}
