//! The dwork dialect: frames of dwork's own programs get the replies they expect, and what must
//! not be copied from dwork's hub is not there.

mod careful;
mod limits;
mod replay;
mod restart;
