//! What a worker is told of a task besides its name is what the task was created with.

use std::collections::BTreeMap;

use dhub::dialect::native::environment;
use dhub::engine::message::{Details, Name, NewTask};
use dhub_proto::wire::{Lease, Stolen, reply};

use super::Check;
use crate::plan::{ClientPlan, Step};
use crate::store::Rows;

/// All that anybody may ask to be created, by name and definition.
#[derive(Default)]
pub struct Definitions(BTreeMap<(Name, u64), Details>);

impl Definitions {
    pub fn of(clients: &[ClientPlan]) -> Self {
        let steps = clients.iter().flat_map(|client| &client.steps);
        let tasks = steps.filter_map(|(_, step)| match step {
            Step::Create { tasks, .. } => Some(tasks),
            _ => None,
        });
        let entry = |task: &NewTask| {
            let details = task.details.as_deref().cloned().unwrap_or_default();
            ((task.name.clone(), task.definition), details)
        };
        Self(tasks.flatten().map(entry).collect())
    }

    /// The reply to a Steal, or to a Complete that steals, as it is sent; without those that are damaged.
    pub fn are_told(&self, reply: &reply::Body, committed: &Rows, damaged: &[Name]) -> Check {
        let stolen = match reply {
            reply::Body::Stolen(stolen) => Some(stolen),
            reply::Body::Completed(completed) => completed.stolen.as_ref(),
            _ => None,
        };
        let Some(Stolen { leases, .. }) = stolen else {
            return Ok(());
        };
        if let Some(lease) =
            leases.iter().find(|lease| damaged.contains(&lease.name.as_str().into()))
        {
            return Err(format!("'{}' is given out, and its row is damaged", lease.name));
        }
        leases.iter().try_for_each(|lease| self.is_told(lease, committed))
    }

    fn is_told(&self, lease: &Lease, committed: &Rows) -> Check {
        let Some(row) = committed.find(&lease.name) else {
            return Err(format!("'{}' is leased and is not stored", lease.name));
        };
        let Some(created) = self.0.get(&(row.name.clone(), row.definition)) else {
            return Err(format!("nobody created '{}' as it is stored", lease.name));
        };
        let told = (
            lease.command.as_str(),
            lease.dir.as_str(),
            lease.env.clone(),
            lease.stdin.as_slice(),
            lease.time_limit_ms,
        );
        let meant = (
            created.command.as_deref().unwrap_or_default(),
            created.dir.as_deref().unwrap_or_default(),
            environment(created.env.as_deref()),
            created.stdin.as_deref().unwrap_or_default(),
            created.time_limit_ms,
        );
        match told == meant {
            true => Ok(()),
            false => Err(format!("'{}' is told as {told:?}, created as {meant:?}", lease.name)),
        }
    }
}
