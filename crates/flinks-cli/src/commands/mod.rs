//! The commands, one module for each.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod consents;
pub(crate) mod emulator;
pub(crate) mod env;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod keep_alive;
pub(crate) mod login;
pub(crate) mod request;
pub(crate) mod token;
pub(crate) mod widget_url;
