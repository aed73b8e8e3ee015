//! Bugs to plant, so that the simulation can be seen to find them. Without the feature `planted`
//! there are none, and nothing is left of the question.

/// Named by what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    // In the loop; the simulation's own turn has these.
    ReplyBeforeCommit,
    LeavesBeforeCommit,
    // In the scheduler.
    NoAttemptCheck,
    WallClockReclaim,
    StealNotIdempotent,
    NumberNotStored,
    OriginalStaysParked,
    CountOffOnRetry,
    RetryForgetsSkipped,
    LostWakeUp,
    LossNotTold,
    ForgottenSkip,
    SkipLostAtRestart,
    AttemptReset,
    FailureCountedTwice,
    HeartbeatRenewsAll,
    PauseNotAdded,
    UndeliveredTakesAny,
    BackOffForgotten,
    HoldLostAtRestart,
    HoldForgottenByRunning,
    AwaitedNotTold,
    // In the delivery.
    RepeatTakesBack,
}

impl Bug {
    pub const ALL: [Bug; 23] = [
        Bug::ReplyBeforeCommit,
        Bug::LeavesBeforeCommit,
        Bug::NoAttemptCheck,
        Bug::WallClockReclaim,
        Bug::StealNotIdempotent,
        Bug::NumberNotStored,
        Bug::OriginalStaysParked,
        Bug::CountOffOnRetry,
        Bug::RetryForgetsSkipped,
        Bug::LostWakeUp,
        Bug::LossNotTold,
        Bug::ForgottenSkip,
        Bug::SkipLostAtRestart,
        Bug::AttemptReset,
        Bug::FailureCountedTwice,
        Bug::HeartbeatRenewsAll,
        Bug::PauseNotAdded,
        Bug::UndeliveredTakesAny,
        Bug::BackOffForgotten,
        Bug::HoldLostAtRestart,
        Bug::HoldForgottenByRunning,
        Bug::AwaitedNotTold,
        Bug::RepeatTakesBack,
    ];
}

#[cfg(feature = "planted")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// For this thread.
#[cfg(feature = "planted")]
pub fn choose(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

#[cfg(feature = "planted")]
pub fn planted(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}

#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}
