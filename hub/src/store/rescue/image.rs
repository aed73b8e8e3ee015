//! The tables as they can be put together from a file and SQLite's log.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode};

use super::{RescueError, Rescued};
use crate::scheduler::message::Turn;
use crate::store::check::problems;
use crate::store::copy::open_part;
use crate::store::mark::marks;
use crate::store::open::{beside, redo_path, wal_path};
use crate::store::part::Part;
use crate::store::version::{APPLICATION_ID, VERSION, create, version};
use crate::store::wal::{Wal, page_size};

/// Of a hub that runs with --network-file.
const JOURNAL: &str = "-journal";

/// What is there, to be read only.
pub struct Originals {
    path: PathBuf,
    file: Option<File>,
    wal: Option<Vec<u8>>,
    journal: Option<Vec<u8>>,
    pub redo: Option<Vec<u8>>,
    /// Of the tables as they are read: which redo log they have, whether they can do without, and
    /// their last turn.
    pub marks: Option<(u64, bool, Turn)>,
}

/// A copy of the tables, sound or not.
pub struct Image {
    pub db: Connection,
    pub turn: Turn,
    pub is_sound: bool,
    marks: Option<(u64, bool, Turn)>,
    /// Removed when it goes.
    pub part: Part,
}

impl Originals {
    pub fn open(path: &Path) -> Result<Self, RescueError> {
        let file = open_read(path)?;
        let bytes = |path: PathBuf| -> Result<Option<Vec<u8>>, RescueError> {
            let Some(mut file) = open_read(&path)? else { return Ok(None) };
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes)
                .map_err(|source| RescueError::Io { path, source })?;
            Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
        };
        let (wal, redo) = (bytes(wal_path(path))?, bytes(redo_path(path))?);
        let journal = bytes(beside(path, JOURNAL))?;
        if file.is_none() && wal.is_none() && redo.is_none() {
            return Err(RescueError::Absent(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), file, wal, journal, redo, marks: None })
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
        let mut image = self.build(to, wal.as_ref().zip(size)).map_err(io)?;
        let is_good = |image: &Option<Image>| image.as_ref().is_some_and(|image| image.is_sound);
        // A checkpoint may have moved all of it into the file, and what is left of the log spoils that.
        if wal.is_some() {
            let alone = self.build(to, None).map_err(io)?;
            let turn = |image: &Option<Image>| image.as_ref().map_or(0, |image| image.turn);
            if is_good(&alone) && (!is_good(&image) || turn(&alone) > turn(&image)) {
                image = alone;
            } else if let Some(pages) = wal.as_ref().map(|wal| wal.unread()).filter(|n| *n > 0) {
                rescued.doubt.push(format!(
                    "{pages} pages of {} cannot be read: rows in them may be older",
                    wal_path(&self.path).display()
                ));
            }
        }
        let Some(found) = image else {
            rescued.lost.push(format!("nothing in {} can be read", self.path.display()));
            return Ok(None);
        };
        self.marks = found.marks;
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
            for (page, bytes) in pages.into_iter().filter(|(page, _)| *page > 0) {
                copy.write_all_at(bytes, u64::from(page - 1) * size as u64)?;
            }
            if let Some(count) = count {
                copy.set_len(u64::from(count) * size as u64)?;
            }
        }
        drop(copy);
        if fs::metadata(&part)?.len() == 0 {
            return Ok(None);
        }
        if let Some(journal) = &self.journal {
            // Rolled back as soon as it is opened.
            fs::write(beside(&part, JOURNAL), journal)?;
        }
        Ok(Image::open(part))
    }
}

impl Image {
    fn open(part: Part) -> Option<Self> {
        let read = |db: &Connection| {
            // Fails if there are no tables at all.
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        };
        let opened = || open_part(&part).and_then(|db| Ok((read(&db)?, db)));
        let first = opened();
        let _ = fs::remove_file(beside(&part, JOURNAL));
        let (tables, db, is_patched) = match first {
            Ok((tables, db)) => (tables, db, false),
            Err(_) => {
                replace_first_page(&part).ok()?;
                let (tables, db) = opened().ok()?;
                (tables, db, true)
            }
        };
        let marks = marks(&db).ok();
        let is_ours = identity(&db).is_ok_and(|(id, _)| id == APPLICATION_ID);
        let is_sound = match is_ours && marks.is_some() {
            true => !is_patched && problems(&db).is_ok_and(|problems| problems.is_empty()),
            // Somebody else's, or one of ours whose first page is damaged.
            false => !is_ours && tables > 0 && is_whole(&db),
        };
        let turn = marks.map_or(0, |(_, _, turn)| turn);
        Some(Self { db, turn, is_sound, marks, part })
    }

    pub fn copy_to(&self, db: &mut Connection) -> rusqlite::Result<()> {
        let copy = Backup::new(&self.db, db)?;
        copy.step(-1).map(drop)
    }
}

/// The page that says where the tables begin cannot be read: then as a new file has it. What is found
/// there is looked at row by row.
fn replace_first_page(part: &Path) -> rusqlite::Result<()> {
    let io = |error: io::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let dir = tempfile::tempdir().map_err(io)?;
    let template = dir.path().join("new.db");
    let mut db = Connection::open(&template)?;
    create(&mut db)?;
    db.close().map_err(|(_, error)| error)?;
    let bytes = fs::read(template).map_err(io)?;
    let Some(size) = page_size(&bytes) else { return Ok(()) };
    let mut page = bytes[..size].to_vec();
    let file = OpenOptions::new().write(true).open(part).map_err(io)?;
    let pages = file.metadata().map_err(io)?.len() / size as u64;
    // How many there are, and none of them unused.
    page[28..32].copy_from_slice(&(pages as u32).to_be_bytes());
    page[32..40].fill(0);
    file.write_all_at(&page, 0).map_err(io)
}

fn identity(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    Ok((db.pragma_query_value(None, "application_id", |row| row.get(0))?, version(db)?))
}

fn is_whole(db: &Connection) -> bool {
    db.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0))
        .is_ok_and(|line| line == "ok")
}

/// To read; a link, or what others can write, is nothing to believe.
fn open_read(path: &Path) -> Result<Option<File>, RescueError> {
    let io = |source| RescueError::Io { path: path.to_owned(), source };
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path);
    let file = match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io)?,
    };
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(io(io::ErrorKind::InvalidInput.into()));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(RescueError::Writable(path.to_owned()));
    }
    Ok(Some(file))
}

/// The disk or the file, not what was asked.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::*;
    let code = error.sqlite_error_code();
    matches!(code, Some(DatabaseCorrupt | NotADatabase | SystemIoFailure))
}
