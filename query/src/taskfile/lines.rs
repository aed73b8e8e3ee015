//! Lines of `name,dep,dep`. Empty fields are skipped, as dwork does, but not that of the name; spaces
//! belong to names.

use std::borrow::Cow;

use super::TaskFile;

pub fn add<'a>(tasks: &mut TaskFile<'a>, number: u32, line: &'a str) -> Result<(), String> {
    let mut fields = line.split(',').filter(|field| !field.is_empty());
    let Some(name) = fields.next() else {
        return Ok(());
    };
    if line.starts_with(',') {
        return Err("there is no name before the first comma".into());
    }
    let name = tasks.intern(Cow::Borrowed(name))?;
    let start = tasks.needs.len();
    for field in fields {
        match tasks.intern(Cow::Borrowed(field)) {
            Ok(need) => tasks.needs.push(need),
            Err(problem) => {
                tasks.needs.truncate(start);
                return Err(problem);
            }
        }
    }
    tasks.add(number, name)
}
