//! Bugs to plant, so that the simulation can be seen to find them. Without the feature `planted`
//! there are none, and nothing is left of the question.

macro_rules! bugs {
    ($($bug:ident)*) => {
        /// Named by what goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug { $($bug),* }

        impl Bug {
            pub const ALL: [Bug; [$(stringify!($bug)),*].len()] = [$(Bug::$bug),*];
        }
    };
}

bugs! {
    // In the loop; the simulation's own turn has these.
    ReplyBeforeCommit
    LeavesBeforeCommit
    FoldToldEarly
    NoTickWhileBusy
    JoinsAnother
    // In the scheduler.
    NoAttemptCheck
    WallClockReclaim
    StealNotIdempotent
    NumberNotStored
    OriginalStaysParked
    CountOffOnRetry
    RetryForgetsSkipped
    LostWakeUp
    LossNotTold
    ForgottenSkip
    SkipLostAtRestart
    AttemptReset
    FailureCountedTwice
    FinalFailureRetried
    HeartbeatRenewsAll
    PauseNotAdded
    UndeliveredTakesAny
    BackOffForgotten
    HoldLostAtRestart
    HoldForgottenByRunning
    UnholdNotStored
    PriorityNotStored
    AwaitedNotTold
    // Of workers that are told to leave.
    OrderNotTold
    OrderForgotten
    OrderShrinks
    DrainedGetsMore
    DrainedStaysHungry
    OrderOutlivesExit
    // Of steals that take the place of others.
    UnheardNotTold
    UnheardTellsAll
    SupersededStaysParked
    // Of commands and the like.
    DetailsForgottenEarly
    DetailsLostOnAdopt
    DetailsLostOnRetry
    // Of rows that are not what was written.
    DamagedGivenOut
    DamagedStaysLeased
    // Of requests that are sent again.
    ProgressNotKept
    CopyDoesAgain
    // Of tasks that are given back.
    ReleaseTakesAll
    OlderAttemptReleased
    GivenBackStillCounts
    // Of the order in which tasks are given out, and to whom.
    PriorityIgnored
    GivenBackGoesLast
    TriedAgainGoesLast
    RestartForgetsWhoCameBack
    AdjustedGoesLast
    OldestEnabledFirst
    NewestNewFirst
    LastParkedFirst
    // Of the places for workers.
    PlacesIgnored
    PlaceStaysTaken
    // Of tasks that may take their workers down.
    StartsNotForeseen
    AheadForeseen
    LastTryShared
    RoomFilled
    RoomForNothing
    // Of what is as urgent as what needs it.
    UrgencyNotPassedOn
    UrgencyStays
    // In the delivery.
    RepeatTakesBack
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
