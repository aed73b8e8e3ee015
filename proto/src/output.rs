//! Where a task's output goes, if its worker writes files: told by the worker as a template, so that whoever
//! can read the file finds it while the task still runs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What is replaced.
pub const PLACEHOLDERS: [&str; 4] = ["{name}", "{attempt}", "{worker}", "{host}"];
/// What a file is called where only a directory is given.
const IN_DIRECTORY: &str = "{name}.{attempt}.out";
/// What a file system takes as the name of one file.
const FILE_NAME_BYTES_MAX: usize = 255;
/// Of a name that is too long, this much of the end stays: the attempt and the suffix are there.
const TAIL_BYTES: usize = 24;
/// So much of a long name is in its file's in any case.
const BEARS_BYTES: usize = 120;

/// The template that a directory stands for; a template stays as it is.
pub fn template(place: &str) -> String {
    match place.contains('{') {
        true => place.to_owned(),
        false => format!("{}/{IN_DIRECTORY}", place.trim_end_matches('/')),
    }
}

/// What no placeholder is, as `{index}`: it would be in the name of each task's file as it stands.
pub fn unknown(template: &str) -> Option<&str> {
    let mut words = template.match_indices('{').filter_map(|(at, _)| {
        let end = template[at..].find('}')?;
        let is_word = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '_');
        Some(&template[at..=at + end]).filter(|it| is_word(&it[1..it.len() - 1]))
    });
    words.find(|word| !PLACEHOLDERS.contains(word))
}

/// The directory that the template names, before anything in it depends on a task.
pub fn fixed(template: &str) -> &Path {
    let end = template.find('{').unwrap_or(template.len());
    let end = template[..end].rfind('/').map_or(0, |at| at.max(1));
    Path::new(&template[..end])
}

/// The file of one attempt. `{name}`, `{attempt}`, `{worker}` and `{host}` in the template (or directory) are
/// replaced, once; other braces stay. A value never leads to another directory: what would is percent-encoded.
pub fn path(template: &str, name: &str, attempt: u32, worker: &str, host: &str) -> PathBuf {
    let template = self::template(template);
    let values = [encode(name), attempt.to_string(), encode(worker), encode(host)];
    let parts: Vec<String> =
        template.split('/').map(|part| shorten(expand(part, &values))).collect();
    PathBuf::from(parts.join("/"))
}

/// Does the file have the task's name, so that a worker may well have made it for that task? A worker may name
/// any file of its reader's. In the file's own name it stands alone, or it is the directory's.
pub fn bears(file: &Path, name: &str) -> bool {
    let name = encode(name);
    let is_cut = name.len() > BEARS_BYTES;
    let name = &name[..name.floor_char_boundary(BEARS_BYTES)];
    let text = |part: Option<&OsStr>| part.and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let (dir, file) = (text(file.parent().and_then(Path::file_name)), text(file.file_name()));
    if dir == name || is_cut && dir.starts_with(name) {
        return true;
    }
    let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    file.match_indices(name).any(|(at, _)| {
        let (before, after) = (&file[..at], &file[at + name.len()..]);
        ends(before.chars().next_back()) && (is_cut || ends(after.chars().next()))
    })
}

/// In one pass: what a value brings in is not looked at again.
fn expand(part: &str, values: &[String; 4]) -> String {
    let mut expanded = String::new();
    let mut rest = part;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        expanded.push_str(before);
        let mut known = PLACEHOLDERS.iter().zip(values);
        rest = match known.find(|(placeholder, _)| from.starts_with(**placeholder)) {
            Some((placeholder, value)) => {
                expanded.push_str(value);
                &from[placeholder.len()..]
            }
            None => {
                expanded.push('{');
                &from[1..]
            }
        };
    }
    expanded.push_str(rest);
    expanded
}

/// As a part of a file's name. Different values stay different.
fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        if c == '/' || c == '%' || c.is_control() || (c == '.' && at == 0) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        } else {
            encoded.push(c);
        }
    }
    // Nothing would make another directory of what stands beside it.
    if encoded.is_empty() { "%".into() } else { encoded }
}

/// One that is too long keeps its two ends, and a hash of all of it between them.
fn shorten(file: String) -> String {
    if file.len() <= FILE_NAME_BYTES_MAX {
        return file;
    }
    let hash = format!("~{:016x}~", fnv(file.as_bytes()));
    let head = file.floor_char_boundary(FILE_NAME_BYTES_MAX - hash.len() - TAIL_BYTES);
    let tail = file.ceil_char_boundary(file.len() - TAIL_BYTES);
    format!("{}{hash}{}", &file[..head], &file[tail..])
}

/// FNV-1a: the same in every build, since one program writes the file and another looks for it.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(template: &str, name: &str) -> String {
        path(template, name, 3, "w1", "node7").to_str().unwrap().to_owned()
    }

    #[test]
    fn placeholders_are_replaced() {
        assert_eq!(at("/out", "a"), "/out/a.3.out");
        assert_eq!(at("/out/", "a"), "/out/a.3.out");
        assert_eq!(at("/", "a"), "/a.3.out");
        assert_eq!(at("/o/{host}/{worker}-{name}.{attempt}", "a b"), "/o/node7/w1-a b.3");
        assert_eq!(at("/o/{name}/{name}.log", "ä"), "/o/ä/ä.log");
        assert_eq!(at("/o/{x}{name}{", "a"), "/o/{x}a{");
        assert_eq!(at("/o/{{name}}", "a"), "/o/{a}");
    }

    #[test]
    fn what_is_no_placeholder_is_told() {
        for (template, told) in [
            ("/o/{index}.txt", Some("{index}")),
            ("/o/{}.txt", Some("{}")),
            ("/o/{name}/{Name}", Some("{Name}")),
            ("/o/${USER}_{name}", Some("{USER}")),
            ("/o/{name}.{attempt}/{worker}-{host}", None),
            ("/o/{{name}}{a b}{", None),
            ("/o", None),
        ] {
            assert_eq!(unknown(template), told, "{template}");
        }
    }

    #[test]
    fn what_is_fixed_depends_on_no_task() {
        for (template, expected) in [
            ("/o/{name}", "/o"),
            ("/{name}", "/"),
            ("/o/a{host}/x", "/o"),
            ("/o/a/b-{name}", "/o/a"),
        ] {
            assert_eq!(fixed(template), Path::new(expected));
        }
    }

    #[test]
    fn names_lead_nowhere_else() {
        assert_eq!(at("/out", "../../etc/passwd"), "/out/%2E.%2F..%2Fetc%2Fpasswd.3.out");
        assert_eq!(at("/out/{name}", ".."), "/out/%2E.");
        assert_eq!(at("/out/{name}", "."), "/out/%2E");
        assert_eq!(at("/out/{name}", ".bashrc"), "/out/%2Ebashrc");
        assert_eq!(at("/out/{name}", "a%2Fb"), "/out/a%252Fb");
        assert_eq!(at("/out/{name}", "a\nb\u{7f}\u{85}"), "/out/a%0Ab%7F%C2%85");
        let elsewhere = path("/o/{worker}/{host}/x", "a", 1, "../w", "");
        assert_eq!(elsewhere.to_str(), Some("/o/%2E.%2Fw/%/x"));
    }

    #[test]
    fn a_file_is_known_by_the_name_of_its_task() {
        let bears = |file: &str, name: &str| bears(Path::new(file), name);
        for name in ["a", "sim-1", "../../etc/passwd", ".bashrc", "a b/c", "größe", "x.y"] {
            for template in
                ["/o", "/o/{name}/{attempt}", "/o/{host}_{name}", "/o/{worker}-{name}.log"]
            {
                assert!(bears(&at(template, name), name), "{template} {name}");
            }
        }
        let long = "n".repeat(900);
        assert!(bears(&at("/o/{worker}.{name}", &long), &long));
        for (file, name) in [
            ("/home/a/.ssh/id_rsa", "a"),
            ("/home/u/.ssh/id_rsa", "sim-1"),
            ("/home/u/.ssh/id_rsa", ".ssh"),
            ("/dev/zero", "z"),
            ("/o/sim-12.1.out", "sim-1"),
            ("", "x"),
        ] {
            assert!(!bears(file, name), "{file} {name}");
        }
    }

    #[test]
    fn values_are_no_templates() {
        assert_eq!(at("/out/{name}", "{attempt}{worker}"), "/out/{attempt}{worker}");
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let name = |c: char, last: char| format!("{}{last}", c.to_string().repeat(340));
        let [a, b] = ['a', 'b'].map(|last| at("/out", &name('ß', last)));
        for file in [&a, &b, &at("/out", &name('/', 'x')), &at("/out", &name('x', 'y'))] {
            let file = file.strip_prefix("/out/").unwrap();
            assert!((230..=255).contains(&file.len()), "{file}: {} bytes", file.len());
            assert!(file.ends_with(".3.out"), "{file}");
        }
        assert_ne!(a, b);
        // The same name in another build is the same file.
        assert_eq!(
            at("/out", &"n".repeat(300)),
            format!("/out/{}~0986998dc9dd4bec~{}.3.out", "n".repeat(213), "n".repeat(18))
        );
        let fits = "n".repeat(255);
        assert_eq!(at("/out/{name}", &fits), format!("/out/{fits}"));
    }
}
