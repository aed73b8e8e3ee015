//! The tables as they can be put together from a file and SQLite's log.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dhub_checksum::{PAGE_BYTES, RESERVED_BYTES, allow_holes, seal};
use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode};

use super::original::{has_wal, open_read};
use super::schema::{RESERVED_AT, replace_schema};
use super::{RescueError, Rescued};
use crate::engine::message::Turn;
use crate::store::check::problems;
use crate::store::copy::{open_part, open_plain_part};
use crate::store::files::alone::Alone;
use crate::store::files::journal::journal_path;
use crate::store::files::mark::marks;
use crate::store::files::orphans::Orphans;
use crate::store::files::part::Part;
use crate::store::files::paths::{redo_path, wal_path};
use crate::store::files::wal::{Wal, page_size};
use crate::store::tables::meta::{APPLICATION_ID, VERSION, version};

/// What is there, to be read only.
pub struct Originals {
    path: PathBuf,
    file: Option<File>,
    wal: Option<Vec<u8>>,
    /// It is of a kind that has one, which a hub that died leaves, and none is there.
    pub lacks_wal: bool,
    journal: Option<Vec<u8>>,
    pub redo: Option<Vec<u8>>,
    /// Of the tables as they are read: which redo log they have, whether they can do without, and
    /// their last turn.
    pub marks: Option<(u64, bool, Turn)>,
}

/// What can be read of a file.
pub struct Tables {
    pub db: Connection,
    pub turn: Turn,
    pub is_sound: bool,
    marks: Option<(u64, bool, Turn)>,
}

/// A copy of the tables, sound or not.
pub struct Image {
    tables: Tables,
    /// Some of its pages do not have their checksums, and what they say fits together all the same.
    wrong_sums: bool,
    /// Removed when it goes.
    pub part: Part,
}

impl Deref for Image {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.tables
    }
}

impl Tables {
    /// Fails if there are none at all.
    fn read(db: Connection) -> rusqlite::Result<Self> {
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let marks = marks(&db).ok();
        let is_ours = identity(&db).is_ok_and(|(id, _)| id == APPLICATION_ID);
        let is_sound = match is_ours && marks.is_some() {
            true => problems(&db).is_ok_and(|problems| problems.is_empty()),
            // Somebody else's, or one of ours whose first page is damaged.
            false => !is_ours && tables > 0 && is_whole(&db),
        };
        let turn = marks.map_or(0, |(_, _, turn)| turn);
        Ok(Self { db, turn, is_sound, marks })
    }

    /// Tables and indices begin where the first page says: pages of another kind cannot be read as theirs.
    fn begin_there(&self) -> bool {
        let begins = |from| {
            let sql = format!("SELECT 1 FROM {from}");
            self.db.prepare(&sql).and_then(|mut select| select.exists([]))
        };
        [
            "tasks NOT INDEXED",
            "tasks INDEXED BY sqlite_autoindex_tasks_1 ORDER BY name",
            "tasks INDEXED BY tasks_undone WHERE state <> 5",
            "workers NOT INDEXED",
            "leases",
            "attempts",
        ]
        .into_iter()
        .all(|from| begins(from).is_ok())
    }
}

impl Originals {
    pub fn open(path: &Path) -> Result<Self, RescueError> {
        let file = open_read(path)?;
        let bytes = |path: PathBuf| -> Result<Option<Vec<u8>>, RescueError> {
            let Some(mut file) = open_read(&path)? else { return Ok(None) };
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes)
                .map_err(|source| RescueError::Io { path, source })?;
            Ok(Some(bytes))
        };
        let (wal, redo) = (bytes(wal_path(path))?, bytes(redo_path(path))?);
        let journal = bytes(journal_path(path))?;
        if file.is_none() && wal.is_none() && redo.is_none() {
            let absent = || RescueError::Absent(path.to_owned());
            return Err(Orphans::of(path).map_or_else(absent, RescueError::Orphans));
        }
        let lacks_wal = wal.is_none() && file.as_ref().is_some_and(has_wal);
        let path = path.to_owned();
        Ok(Self { path, file, wal, lacks_wal, journal, redo, marks: None })
    }

    /// The tables with SQLite's log, or without it where that is better; None: nothing of them can be
    /// read. What the log lacks is said.
    pub fn image(
        &mut self,
        to: &Path,
        rescued: &mut Rescued,
    ) -> Result<Option<Image>, RescueError> {
        let io = |source| RescueError::Io { path: to.to_owned(), source };
        let mut head = [0; 100];
        let read = self.file.as_ref().map(|file| file.read_exact_at(&mut head, 0));
        let size = read.and_then(Result::ok).and_then(|()| page_size(&head));
        // A log begins with it, too.
        let size = size.or_else(|| {
            let size = self.wal.as_ref()?.get(8..12)?;
            let size = u32::from_be_bytes(size.try_into().ok()?) as usize;
            (512..=65_536).contains(&size).then_some(size)
        });
        let wal = self.wal.take().zip(size).and_then(|(bytes, size)| Wal::read(bytes, size));
        let wal_path = wal_path(&self.path);
        let journal = self.journal.as_deref().unwrap_or_default();
        let by_itself = Alone::read(&self.path);
        let newer =
            by_itself.as_ref().and_then(|alone| alone.lacks_turn_of(io::Cursor::new(journal)));
        if let Some(turn) = newer {
            self.journal = None;
            rescued.doubt.push(format!(
                "{} is not of {} as that is now, for it goes back to turn {turn}: nothing of it was used",
                journal_path(&self.path).display(),
                self.path.display(),
            ));
        }
        let mut is_wal_used = wal.as_ref().is_some_and(|wal| wal.pages().1.is_some());
        let mut image = self.build(to, wal.as_ref().zip(size)).map_err(io)?;
        let is_good = |image: &Option<Image>| image.as_ref().is_some_and(|image| image.is_sound);
        // A checkpoint may have moved all of it into the file, and what is left of the log spoils that.
        if wal.is_some() {
            let alone = self.build(to, None).map_err(io)?;
            let turn = |image: &Option<Image>| image.as_ref().map_or(0, |image| image.turn);
            // An older one would lack more than a frame that cannot be read.
            let is_as_new = turn(&alone) >= turn(&image);
            let other = wal.as_ref().zip(by_itself).is_some_and(|(wal, alone)| {
                let image = image.as_ref();
                alone.has_log_with(&wal.pages().0).is_err()
                    || image.is_some_and(|image| !alone.has_log_of(&image.db))
            });
            if other {
                rescued.doubt.push(format!(
                    "{wal} is not of {file} as that is now, which ends with turn {}: nothing of it was used; to save what it has by itself, move {file} away first",
                    turn(&alone),
                    wal = wal_path.display(),
                    file = self.path.display()
                ));
                (image, is_wal_used) = (alone, false);
            } else if is_good(&alone)
                && is_as_new
                && (!is_good(&image) || turn(&alone) > turn(&image))
            {
                if is_wal_used {
                    let wal = wal_path.display();
                    rescued.unused.push(format!("{wal}: the file has all that can be read of it"));
                }
                (image, is_wal_used) = (alone, false);
            } else if let Some(pages) = wal.as_ref().map(|wal| wal.unread()).filter(|n| *n > 0) {
                rescued.doubt.push(format!(
                    "{pages} pages of {} cannot be read: rows in them may be older",
                    wal_path.display()
                ));
                // Its pages are of different times, however well they fit: only rows are taken, and
                // the indices made anew.
                if let Some(image) = &mut image {
                    image.tables.is_sound = false;
                }
            }
        }
        let Some(found) = image else {
            rescued.lost.push(format!("nothing in {} can be read", self.path.display()));
            return Ok(None);
        };
        self.marks = found.marks;
        rescued.used.extend(self.file.is_some().then(|| self.path.clone()));
        rescued.used.extend(is_wal_used.then_some(wal_path));
        if found.wrong_sums {
            rescued.doubt.push(format!(
                "pages of {} are not as dhub wrote them, as when another program writes to it; what they say fits together",
                self.path.display()
            ));
        }
        match identity(&found.db) {
            Ok((APPLICATION_ID, version)) if version > VERSION => {
                Err(RescueError::Newer { file: self.path.clone(), found: version })
            }
            Ok((application, _)) if application != APPLICATION_ID && found.is_sound => {
                Err(RescueError::Foreign(self.path.clone()))
            }
            _ => Ok(Some(found)),
        }
    }

    fn build(&self, to: &Path, wal: Option<(&Wal, usize)>) -> io::Result<Option<Image>> {
        let part = Part::new(to)?;
        let copy = OpenOptions::new().write(true).open(&part)?;
        part.check()?;
        if let Some(mut file) = self.file.as_ref() {
            io::Seek::rewind(&mut file)?;
            io::copy(&mut file, &mut &copy)?;
        }
        if let Some((wal, size)) = wal {
            let (pages, count) = wal.pages();
            let is_summed = self.is_summed(&pages);
            for (page, bytes) in pages.into_iter().filter(|(page, _)| *page > 0) {
                let at = u64::from(page - 1) * size as u64;
                match <[u8; PAGE_BYTES]>::try_from(bytes) {
                    // In SQLite's log they have none yet.
                    Ok(mut bytes) if is_summed => {
                        seal(page, &mut bytes);
                        copy.write_all_at(&bytes, at)?;
                    }
                    _ => copy.write_all_at(bytes, at)?,
                }
            }
            if let Some(count) = count {
                copy.set_len(u64::from(count) * size as u64)?;
            }
        }
        drop(copy);
        if fs::metadata(&part)?.len() == 0 {
            return Ok(None);
        }
        if let Some(journal) = self.journal.as_ref().filter(|journal| !journal.is_empty()) {
            // Rolled back as soon as it is opened.
            fs::write(journal_path(&part), journal)?;
        }
        Ok(Image::open(part))
    }
}

impl Originals {
    /// Do the pages of the file have checksums? As its first page says, in SQLite's log or else itself.
    fn is_summed(&self, logged: &BTreeMap<u32, &[u8]>) -> bool {
        let mut reserved = [0];
        match (logged.get(&1).and_then(|page| page.get(RESERVED_AT)), &self.file) {
            (Some(&byte), _) => reserved = [byte],
            (None, Some(file)) => drop(file.read_exact_at(&mut reserved, RESERVED_AT as u64)),
            (None, None) => {}
        }
        usize::from(reserved[0]) == RESERVED_BYTES
    }
}

impl Image {
    fn open(part: Part) -> Option<Self> {
        let read = || open_part(&part).and_then(Tables::read);
        let first = read();
        let _ = fs::remove_file(journal_path(&part));
        if let Ok(tables) = first.as_ref()
            && tables.is_sound
        {
            return first.ok().map(|tables| Self { tables, part, wrong_sums: false });
        }
        // Another program may have written to it, which knows no checksums. A connection has its file alone.
        let first = first.map(drop);
        let plain = open_plain_part(&part).and_then(Tables::read).ok();
        if let Some(tables) = plain.filter(|tables| tables.is_sound) {
            // Row by row: its pages cannot be copied as they are.
            let tables = Tables { is_sound: false, ..tables };
            return Some(Self { tables, part, wrong_sums: true });
        }
        let tables = match first.and_then(|()| read()) {
            Ok(tables) => tables,
            Err(_) => {
                let patch = |is_copied| {
                    replace_schema(&part, is_copied)?;
                    Tables::read(open_part(&part)?)
                };
                let first = patch(false).ok().filter(Tables::begin_there);
                let patched = first.or_else(|| patch(true).ok())?;
                Tables { is_sound: false, ..patched }
            }
        };
        Some(Self { tables, part, wrong_sums: false })
    }

    /// Of a sound one: then what reads as zeros is of no use.
    pub fn copy_to(&self, db: &mut Connection) -> rusqlite::Result<()> {
        allow_holes(&self.db, true);
        let copy = Backup::new(&self.db, db)?;
        copy.step(-1).map(drop)
    }
}

fn identity(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    Ok((db.pragma_query_value(None, "application_id", |row| row.get(0))?, version(db)?))
}

fn is_whole(db: &Connection) -> bool {
    db.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0))
        .is_ok_and(|line| line == "ok")
}

/// The disk or the file, not what was asked.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::*;
    let code = error.sqlite_error_code();
    matches!(code, Some(DatabaseCorrupt | NotADatabase | SystemIoFailure))
}
