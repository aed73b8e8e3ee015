//! The tables in SQLite: what each column has, how changes become rows, and how rows are read.

pub mod columns;
pub mod details;
pub mod fold;
pub mod lost;
pub mod names;
pub mod read;
pub mod restore;
pub mod row;
pub mod sum;
pub mod version;
