//! A file that grows beside the place where it is to be, in a directory of its own: nobody else can put
//! something beside it that SQLite would take for its log, or take it away.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dhub_proto::private::Mode;
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::{Builder, TempPath};

use crate::store::absent::no_directory;
use crate::store::files::paths::beside;

/// Its name in its directory.
const PART: &str = "part.db";
/// The file beside it that says which ones may be there under that name: the part, and the file that it is to replace.
const OWN: &str = "own";

pub struct Part {
    path: PathBuf,
    /// As it was made: what has its name may be another one by now, where others may write.
    file: File,
    dir: OwnDir,
}

/// Its user's alone. Removed, with all that is in it, when this goes, unless it stays.
struct OwnDir {
    path: PathBuf,
    stays: bool,
}

impl OwnDir {
    fn make(beside: &Path, name: &Builder) -> io::Result<Self> {
        // What the system says, not tempfile: its errors hide that it is the disk, and name what nobody asked for.
        let mut why = None;
        let new = |path: &Path| {
            let made = DirBuilder::new().mode(Mode::PRIVATE.of_dir()).create(path);
            made.inspect_err(|error| why = error.raw_os_error())
        };
        let made = name.make_in(beside, new);
        let made = made.map_err(|error| why.map_or(error, io::Error::from_raw_os_error))?;
        let ((), path) = made.keep().map_err(|error| error.error)?;
        Ok(Self { path, stays: false })
    }
}

impl Drop for OwnDir {
    fn drop(&mut self) {
        if !self.stays {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Part {
    /// By its real name, since SQLite is to follow no link.
    pub fn new(to: &Path) -> io::Result<Self> {
        Self::make(to, Builder::new().prefix(".dhub-").suffix(".part"))
    }

    /// In a directory called `TO` and this `end`, in place of one that a killed program left; to replace `TO`.
    pub fn named(to: &Path, end: &str) -> io::Result<Self> {
        let dir = beside(to, end);
        remove_left(&dir)?;
        let name = dir.file_name().unwrap_or_default();
        let part = Self::make(to, Builder::new().prefix(name).rand_bytes(0))?;
        let old = fs::symlink_metadata(to).ok();
        let own: Vec<_> = old.iter().chain([&part.file.metadata()?]).map(identity).collect();
        fs::write(dir.join(OWN), own.join("\n"))?;
        Ok(part)
    }

    fn make(to: &Path, name: &Builder) -> io::Result<Self> {
        let parent = parent(to);
        if !parent.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotFound, no_directory(parent)));
        }
        let dir = OwnDir::make(&parent.canonicalize()?, name)?;
        let path = dir.path.join(PART);
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(Mode::PRIVATE.bits());
        let file = options.custom_flags(flags).open(&path)?;
        Ok(Self { path, file, dir })
    }

    /// Takes all of this in.
    pub fn fill(&mut self, from: &mut File) -> io::Result<()> {
        io::copy(from, &mut self.file).map(drop)
    }

    /// Fails if its name leads to another file. Of one mount, so the number of its file system stands still meanwhile.
    pub fn check(&self) -> io::Result<()> {
        let (made, found) = (self.file.metadata()?, fs::symlink_metadata(&self.path)?);
        match (made.dev(), made.ino()) == (found.dev(), found.ino()) {
            true => Ok(()),
            false => {
                Err(io::Error::other(format!("{} was replaced meanwhile", self.path.display())))
            }
        }
    }

    /// Syncs it and gives it its name, unless somebody else took that meanwhile; its size.
    pub fn keep(self, to: &Path, mode: Mode) -> io::Result<u64> {
        self.file.set_permissions(Permissions::from_mode(mode.bits()))?;
        self.file.sync_all()?;
        self.check()?;
        TempPath::try_from_path(&self.path)?.persist_noclobber(to)?;
        File::open(parent(to))?.sync_all()?;
        Ok(self.file.metadata()?.len())
    }
}

impl Part {
    /// Makes it ready to stand in for this file: whoever can read that can read this, and it is on disk.
    pub fn be_like(&self, file: &Path) -> io::Result<()> {
        let (of, own) = (fs::metadata(file)?, self.file.metadata()?);
        if of.gid() != own.gid() {
            rustix::fs::fchown(&self.file, None, Some(rustix::fs::Gid::from_raw(of.gid())))?;
        }
        self.file.set_permissions(Permissions::from_mode(of.mode() & 0o777))?;
        self.file.sync_all()?;
        self.check()
    }

    /// Takes the place of the file in one step, if that is the one that is meant; the file is as it was if that fails.
    pub fn replace(mut self, file: &Path, is_meant: impl Fn(&Metadata) -> bool) -> io::Result<()> {
        self.check()?;
        let swap = || renameat_with(CWD, &self.path, CWD, file, RenameFlags::EXCHANGE);
        match swap() {
            Ok(()) if is_meant(&fs::symlink_metadata(&self.path)?) => Ok(()),
            Ok(()) => {
                let replaced = format!("{} was replaced meanwhile", file.display());
                Err(io::Error::other(match swap() {
                    Ok(()) => replaced,
                    Err(error) => {
                        // It is somebody's.
                        self.dir.stays = true;
                        let path = self.path.display();
                        format!("{replaced}, and what was there is {path} now: {error}")
                    }
                }))
            }
            // Not each file system can.
            Err(Errno::INVAL | Errno::NOSYS) if is_meant(&fs::symlink_metadata(file)?) => {
                fs::rename(&self.path, file)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Deref for Part {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for Part {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// Removes the directory of a part that was to replace a file, when its program was killed. It stays if something is in it
/// that is neither: a file that somebody gave that name, and that was swapped for the part before it was looked at.
pub fn remove_left(dir: &Path) -> io::Result<()> {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(meta) if !meta.is_dir() => {
            return Err(io::Error::other(format!("{} is no directory", dir.display())));
        }
        _ => {}
    }
    let path = dir.join(PART);
    let own = fs::read_to_string(dir.join(OWN)).unwrap_or_default();
    let unless_missing = |done: io::Result<()>| match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    };
    match fs::symlink_metadata(&path) {
        // With nothing in it yet, it is a part whose directory does not say so yet.
        Ok(meta) if own.lines().any(|it| is_of(it, &meta)) || is_empty(&meta) => {
            fs::remove_file(&path)?;
        }
        Ok(_) => {
            let what = "may be a file of yours that had the name of the hub's: look at it, and move it away";
            return Err(io::Error::other(format!("{} {what}", path.display())));
        }
        Err(error) => unless_missing(Err(error))?,
    }
    // SQLite has one beside a file that it makes.
    unless_missing(fs::remove_file(beside(&path, "-journal")))?;
    unless_missing(fs::remove_file(dir.join(OWN)))?;
    let kept = |error| io::Error::other(format!("{} cannot be removed: {error}", dir.display()));
    unless_missing(fs::remove_dir(dir)).map_err(kept)
}

fn is_empty(meta: &Metadata) -> bool {
    meta.is_file() && meta.len() == 0
}

/// No other file of its file system has it while this one is there. Both files that may be in the directory are of the
/// directory's own file system, as nothing is renamed to another one. The number of that is not noted: NFS, Btrfs and
/// overlays have another one when they are mounted again, and a start after a loss of power would not know its own file.
fn identity(meta: &Metadata) -> String {
    meta.ino().to_string()
}

/// Earlier versions noted the file system before it.
fn is_of(noted: &str, meta: &Metadata) -> bool {
    noted.rsplit(':').next() == Some(identity(meta).as_str())
}

pub(crate) fn parent(to: &Path) -> &Path {
    to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_in_a_directory_of_its_users_alone_and_nothing_of_it_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let part = Part::new(&dir.path().join("to")).expect("a part");
        let own = part.parent().expect("its directory").to_owned();
        assert_eq!(own.metadata().expect("a directory").mode() & 0o777, 0o700);
        assert_eq!(part.metadata().expect("a file").mode() & 0o777, 0o600);
        part.keep(&dir.path().join("to"), Mode::PRIVATE).expect("a name");
        let names: Vec<_> =
            fs::read_dir(&dir).expect("names").flatten().map(|it| it.file_name()).collect();
        assert_eq!(names, ["to"]);
        assert!(
            Part::new(&dir.path().join("to"))
                .expect("a part")
                .keep(&dir.path().join("to"), Mode::PRIVATE)
                .is_err()
        );
    }

    #[test]
    fn what_a_killed_program_left_is_removed_and_nothing_of_anybody_elses() {
        let dir = tempfile::tempdir().expect("a directory");
        let (to, left) = (dir.path().join("to"), dir.path().join("to.end"));
        let kill = |part: Part| std::mem::forget(part);
        let swap = |part: &Path| {
            renameat_with(CWD, part, CWD, &to, RenameFlags::EXCHANGE).expect("each other's name");
        };
        fs::write(&to, "what is to be replaced").expect("a file");
        // Before its directory says whose it is, half made, and when it has taken its place.
        fs::create_dir(&left).expect("a directory");
        fs::write(left.join(PART), "").expect("a file");
        let part = Part::named(&to, ".end").expect("a part");
        fs::write(&part, "half of it").expect("a file");
        fs::write(left.join("part.db-journal"), "").expect("a file");
        kill(part);
        let part = Part::named(&to, ".end").expect("a part, in place of that");
        fs::write(&part, "all of it").expect("a file");
        swap(&part);
        kill(part);
        // As earlier versions noted them, and on a file system that has another number since it was mounted again.
        let own = fs::read_to_string(left.join(OWN)).expect("the note");
        let own: Vec<_> = own.lines().map(|inode| format!("99:{inode}")).collect();
        fs::write(left.join(OWN), own.join("\n")).expect("a note");
        remove_left(&left).expect("the end of it");
        assert!(!left.exists());
        remove_left(&left).expect("nothing is there");

        // Somebody gives his file that name just before it is swapped, and the program is killed before it looks.
        let part = Part::named(&to, ".end").expect("a part");
        fs::write(dir.path().join("new"), "somebody's").expect("a file");
        fs::rename(dir.path().join("new"), &to).expect("its name");
        swap(&part);
        kill(part);
        let refused = remove_left(&left).expect_err("it stays").to_string();
        assert!(refused.contains("to.end/part.db"), "{refused}");
        assert!(Part::named(&to, ".end").is_err());
        assert_eq!(fs::read_to_string(left.join(PART)).expect("the file"), "somebody's");

        // A directory with other things in it, and a file of that name.
        fs::remove_file(left.join(PART)).expect("it is moved away");
        fs::write(left.join("notes"), "mine").expect("a file");
        assert!(remove_left(&left).is_err() && left.join("notes").exists());
        fs::remove_file(left.join("notes")).expect("it is moved away");
        remove_left(&left).expect("the end of it");
        fs::write(&left, "mine").expect("a file");
        assert!(remove_left(&left).is_err() && left.exists());
    }

    #[test]
    fn a_part_that_was_replaced_is_not_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let part = Part::new(&dir.path().join("to")).expect("a part");
        part.check().expect("its own file");
        let own = part.parent().expect("its directory").to_owned();
        fs::rename(&own, dir.path().join("away")).expect("another name");
        fs::create_dir(&own).expect("a directory");
        fs::write(&part.path, "another's").expect("a file");
        assert!(part.check().is_err());
        assert!(part.keep(&dir.path().join("to"), Mode::PRIVATE).is_err());
        assert!(!dir.path().join("to").exists());
    }
}
