//! Why attempts failed: equal reasons together.

use hashbrown::HashMap;

use super::{Attempt, Outcome, Run};

/// Names that a cause is told with.
const NAMES_MAX: usize = 5;

pub struct Cause<'a> {
    pub reason: String,
    /// Attempts that ended so, and the tasks that they were of.
    pub attempts: u64,
    pub tasks: u64,
    /// Of these tasks: those that are done all the same.
    pub done: u64,
    pub names: Vec<&'a str>,
}

/// The most frequent first; what was cancelled did not fail.
pub fn causes(run: &Run) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for task in &run.tasks {
        let mut seen: Vec<usize> = Vec::new();
        for attempt in &task.attempts {
            let Some(reason) = reason(run, attempt) else {
                continue;
            };
            let place = *places.entry(reason).or_insert_with_key(|reason| {
                let reason = reason.clone();
                causes.push(Cause { reason, attempts: 0, tasks: 0, done: 0, names: Vec::new() });
                causes.len() - 1
            });
            let cause = &mut causes[place];
            cause.attempts += 1;
            if !seen.contains(&place) {
                seen.push(place);
                cause.tasks += 1;
                cause.done += u64::from(task.state == dhub_proto::wire::State::Done);
                if cause.names.len() < NAMES_MAX {
                    cause.names.push(&task.name);
                }
            }
        }
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.attempts));
    causes
}

fn reason(run: &Run, attempt: &Attempt) -> Option<String> {
    match attempt.outcome {
        Outcome::Done | Outcome::Cancelled | Outcome::Running => None,
        Outcome::Reclaimed => Some("its worker went silent".to_owned()),
        Outcome::Failed => Some(match run.reason(attempt) {
            "" => format!("exit {}", attempt.exit_code),
            reason => reason.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use dhub_proto::wire::State;

    use super::super::tests::run;
    use super::*;

    #[test]
    fn attempts_and_their_tasks_are_counted() {
        let run = run(&[
            ("a", State::Done, &[], &[(1, 2, "failed"), (2, 3, "failed"), (3, 4, "done")]),
            ("b", State::Failed, &[], &[(1, 2, "reclaimed"), (2, 3, "failed")]),
            ("c", State::Cancelled, &[], &[(1, 2, "cancelled")]),
        ]);
        let causes = causes(&run);
        let told: Vec<_> = causes
            .iter()
            .map(|it| (it.reason.as_str(), it.attempts, it.tasks, it.done, it.names.join(" ")))
            .collect();
        assert_eq!(
            told,
            [
                ("exit 3", 3, 2, 1, "a b".to_owned()),
                ("its worker went silent", 1, 1, 0, "b".to_owned()),
            ]
        );
    }
}
