//! What a hub that starts makes of its file.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dhub_proto::limits::*;

use crate::engine::keyname;
use crate::engine::message::*;
use crate::engine::scheduler::{Config, Scheduler};
use crate::net::gate::Gate;
use crate::server::Options;
use crate::store::{Store, StoreError};

/// Tasks skipped after one command.
const SKIPS_MAX: usize = 2_000;

/// Makes the file one of this version, and looks at it from then on. The version that it had, if that was an older one.
pub(super) fn prepare(
    store: &mut Store,
    stop: &Arc<AtomicBool>,
) -> Result<Option<i64>, StoreError> {
    let upgraded = store.upgrade()?;
    store.add_checksums(stop)?;
    // Nothing replaces the files from now on.
    store.watch()?;
    Ok(upgraded)
}

/// Files that have the names of keys alone mean the present ones.
pub(super) fn mark_keys(scheduler: &mut Scheduler, gate: &Gate) {
    for old in scheduler.keys().into_iter().filter(|key| keyname::is_unmarked(key)) {
        if let Some(key) = gate.called(&old) {
            scheduler.apply(0, Body::Marked { old, key: key.into() }.into(), &Past::new());
        }
    }
}

/// A scheduler with what the store has.
pub fn restore(store: &Store, options: &Options) -> Result<Scheduler, StoreError> {
    let mut scheduler = Scheduler::new(Config {
        worker_timeout_ms: options.worker_timeout_ms,
        lease_ms: options.lease_ms,
        parked_requests_max: PARKED_REQUESTS_MAX,
        needs_max: NEEDS_MAX,
        leases_bytes_max: LEASES_BYTES_MAX,
        reclaims_max: RECLAIMS_MAX,
        skips_max: SKIPS_MAX,
        retry_delay_ms: options.retry_delay_ms,
        inherit_priority: options.inherit_priority,
    });
    let names = store.restore(0, &mut scheduler)?;
    if !names.is_empty() {
        for name in &names {
            tracing::warn!("task '{name}' fails: its definition is damaged");
        }
        scheduler.apply(0, Body::Damaged { names }.into(), &Past::new());
    }
    Ok(scheduler)
}
