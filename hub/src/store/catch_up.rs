//! What a hub that died left in its redo log goes into the tables.

use std::path::Path;

use rusqlite::Connection;

use crate::engine::message::Turn;
use crate::store::access::Access;
use crate::store::connection::empty_log;
use crate::store::error::OpenError;
use crate::store::files::alone::fits_clean;
use crate::store::files::beside::Found;
use crate::store::files::mark::{mark_clean, marks, new_id};
use crate::store::files::paths::redo_path;
use crate::store::log::{Doubt, Medium, Records, Redo, RedoFile};
use crate::store::tables::fold::{Batch, fold};
use crate::store::{log, move_wal};

/// Folds what a hub that died left in its redo log, and begins a new one. With the last turn, whether
/// the file says already that it has this log, and what is in doubt.
pub(super) fn open_redo(
    file: &Path,
    db: &Connection,
    access: Access,
    wal: Option<Found>,
) -> Result<(Redo, Turn, bool, Option<Doubt>), OpenError> {
    let (mut id, is_clean, mut turn) =
        marks(db).map_err(|source| OpenError::Unusable { file: file.to_owned(), source })?;
    let path = redo_path(file);
    let io = |source| OpenError::Io { path: path.clone(), source };
    // A link that leads nowhere is there, too.
    let is_there = path.symlink_metadata().is_ok();
    if !is_there && !is_clean && !access.without_redo {
        let wal = wal.filter(|wal| wal.is_missing()).map(Found::forget);
        let logs = wal.into_iter().chain([path]).collect();
        return Err(OpenError::RedoMissing { file: file.to_owned(), logs });
    }
    let medium: Box<dyn Medium> = match access.medium {
        None => Box::new(RedoFile::open(&path, access.mode)?),
        Some(open) => open(&path).map_err(io)?,
    };
    let (mut doubt, mut behind, mut is_older) = (None, None, false);
    if is_there && !access.without_redo {
        let records = Records::read(&*medium, access.region_bytes).map_err(io)?;
        if !is_clean && records.of_another_version {
            return Err(OpenError::RedoVersion { redo: path });
        }
        if !is_clean && records.owner().is_none() {
            return Err(OpenError::RedoUnreadable { file: file.to_owned(), redo: path });
        }
        let is_ours = records.owner() == Some(id);
        if !is_ours && (!is_clean || records.has_turns() || records.last() > turn) {
            return Err(OpenError::RedoForeign { file: file.to_owned(), redo: path });
        }
        if !is_clean {
            if let Some(wal) = wal {
                wal.fits(db, turn, &records)?;
            }
            if let Some(gap) = records.gap(turn) {
                let (file, goes_on) = (file.to_owned(), gap.first > turn + 1);
                return Err(OpenError::RedoDamaged { file, redo: path, gap, goes_on });
            }
            if records.is_older_than(turn) {
                let (file, last) = (file.to_owned(), records.last());
                return Err(OpenError::RedoOlder { file, redo: path, last, turn });
            }
            doubt = records.doubt(turn);
            is_older = records.is_of_older_version();
            behind = Some(records);
        } else if is_ours {
            fits_clean(file, turn, &records)?;
        }
    }
    // Nothing was refused: until here all files are as they were found.
    empty_log(db, file, access)?;
    if let Some(records) = behind {
        turn = catch_up(db, records, turn, file, &path)?.unwrap_or(turn);
    }
    let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
    if is_older {
        // That version would not see what this one says: from here on there is another log.
        mark_clean(db).map_err(unusable)?;
    }
    if !is_clean {
        // What is left behind its last commit must not be taken for damage later.
        move_wal(db).map_err(unusable)?;
    }
    let is_new = id == 0 || access.without_redo || is_older;
    if is_new {
        // No record of before can be taken for one of now.
        id = new_id();
    }
    let redo = Redo::new(medium, id, access.region_bytes, turn);
    Ok((redo, turn, !is_clean && !is_new, doubt))
}

/// Folds the records that the tables do not have; the last turn of them.
fn catch_up(
    db: &Connection,
    records: Records,
    folded: Turn,
    file: &Path,
    redo: &Path,
) -> Result<Option<Turn>, OpenError> {
    let redo = || redo.to_owned();
    let mut last = None;
    for (turn, body) in records.after(folded) {
        let batch: Batch = log::decode(turn, &body)
            .ok_or_else(|| OpenError::RedoUnknown { redo: redo(), turn })?;
        let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
        fold(db, &[batch]).map_err(unusable)?;
        last = Some(turn);
    }
    Ok(last)
}
