//! Why a file that is there cannot be started: the system says "no such file" of what it needs, too.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The system reads no further.
const LINE_MAX: u64 = 256;

/// What a file that is there lacks, in words.
pub fn missing(file: &Path, called: &OsStr) -> Option<String> {
    let mut begin = Vec::new();
    File::open(file).ok()?.take(LINE_MAX).read_to_end(&mut begin).ok()?;
    let shown = called.display();
    let Some(line) = begin.strip_prefix(b"#!") else {
        return begin.starts_with(b"\x7fELF").then(|| {
            format!("{shown} is a program, but what loads it is not here: is it for another system? (file {shown})")
        });
    };
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let name = line.trim_start_matches([' ', '\t']).split([' ', '\t']).next().unwrap_or_default();
    if name.is_empty() || Path::new(name).exists() {
        return None;
    }
    Some(match name.strip_suffix('\r') {
        Some(name) if Path::new(name).exists() => format!(
            "{shown} has Windows line ends (mend it: sed -i 's/\\r$//' {}), so that its first line asks for {name} with a carriage return",
            dhub_proto::shell::file(called)
        ),
        _ => format!("{shown} is a script for {}, which is not here", name.trim_end_matches('\r')),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let lacks = |begin: &str| {
            let file = dir.path().join("it");
            std::fs::write(&file, begin).unwrap();
            missing(&file, OsStr::new("it"))
        };
        let windows = lacks("#!/bin/sh\r\necho\r\n").unwrap();
        assert!(windows.starts_with("it has Windows line ends"), "{windows}");
        assert!(
            windows.contains("asks for /bin/sh with")
                && windows.contains("(mend it: sed -i 's/\\r$//' it), "),
            "{windows}"
        );
        let absent = "it is a script for /none/python, which is not here";
        assert_eq!(lacks("#! /none/python -u\n").as_deref(), Some(absent));
        assert_eq!(lacks("#!/none/python\r\n").as_deref(), Some(absent));
        assert!(lacks("\x7fELF..").unwrap().contains("another system"));
        for sound in ["#!/bin/sh\n", "#!/bin/sh -e", "#!", "echo\n", ""] {
            assert_eq!(lacks(sound), None, "{sound:?}");
        }
        assert_eq!(missing(&dir.path().join("absent"), OsStr::new("absent")), None);
    }
}
