//! The tables in SQLite: what each column has, how changes become rows, and how rows are read.

pub(crate) mod archive;
pub(crate) mod attempts;
pub(crate) mod columns;
pub(crate) mod details;
pub(crate) mod fold;
pub(crate) mod lost;
pub(crate) mod meta;
pub(crate) mod names;
pub(crate) mod page;
pub(crate) mod read;
pub(crate) mod restore;
pub(crate) mod row;
pub(crate) mod sum;
pub(crate) mod version;
