//! A file that grows beside the place where it is to be, in a directory of its own: nobody else can put
//! something beside it that SQLite would take for its log, or take it away.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dhub_proto::private::Mode;
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::{Builder, TempDir, TempPath};

use super::open::beside;

pub struct Part {
    path: PathBuf,
    /// As it was made: what has its name may be another one by now, where others may write.
    file: File,
    /// Removed, with all that is in it, when this goes.
    _dir: TempDir,
}

impl Part {
    /// By its real name, since SQLite is to follow no link.
    pub fn new(to: &Path) -> io::Result<Self> {
        Self::make(to, Builder::new().prefix(".dhub-").suffix(".part"))
    }

    /// In a directory called `TO` and this `end`, in place of one that a killed program left.
    pub fn named(to: &Path, end: &str) -> io::Result<Self> {
        match fs::remove_dir_all(beside(to, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let name = beside(to, end).file_name().unwrap_or_default().to_owned();
        Self::make(to, Builder::new().prefix(&name).rand_bytes(0))
    }

    fn make(to: &Path, name: &mut Builder) -> io::Result<Self> {
        let beside = parent(to).canonicalize()?;
        let own = Permissions::from_mode(Mode::PRIVATE.of_dir());
        let dir = name.permissions(own).tempdir_in(beside)?;
        let path = dir.path().join("part.db");
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(Mode::PRIVATE.bits());
        let file = options.custom_flags(flags).open(&path)?;
        Ok(Self { path, file, _dir: dir })
    }

    /// Takes all of this in.
    pub fn fill(&mut self, from: &mut File) -> io::Result<()> {
        io::copy(from, &mut self.file).map(drop)
    }

    /// Fails if its name leads to another file.
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
    pub fn replace(self, file: &Path, is_meant: impl Fn(&Metadata) -> bool) -> io::Result<()> {
        self.check()?;
        let swap = || renameat_with(CWD, &self.path, CWD, file, RenameFlags::EXCHANGE);
        match swap() {
            Ok(()) if is_meant(&fs::symlink_metadata(&self.path)?) => Ok(()),
            Ok(()) => {
                swap()?;
                Err(io::Error::other(format!("{} was replaced meanwhile", file.display())))
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

pub(super) fn parent(to: &Path) -> &Path {
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
