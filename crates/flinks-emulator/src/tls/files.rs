//! The files that contain the authority's certificate and the client's certificate and private key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::authority::Identity;

/// The absolute paths of the written files.
pub(crate) struct Files {
    pub(crate) authority: PathBuf,
    /// The client's certificate and private key, if the emulator requests client certificates.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

impl Files {
    pub(super) fn write(folder: &Path, authority_pem: &str, client: Option<&Identity>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let folder = fs::canonicalize(folder)?;
        let authority = folder.join("authority.pem");
        replace(&authority, authority_pem, Readers::Everyone)?;
        let client = match client {
            None => None,
            Some(Identity { certificate_pem, key_pem, .. }) => {
                let (certificate, key) = (folder.join("client.pem"), folder.join("client-key.pem"));
                replace(&certificate, certificate_pem, Readers::Everyone)?;
                replace(&key, key_pem, Readers::Owner)?;
                Some((certificate, key))
            }
        };
        Ok(Self { authority, client })
    }
}

/// The users who can read a file.
#[derive(Clone, Copy)]
enum Readers {
    Everyone,
    Owner,
}

/// Replaces a file atomically. A client that reads the file at the same time sees either the old or
/// the new certificate.
fn replace(path: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", uuid::Uuid::new_v4()));
    let temporary = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(
        &mut options,
        match readers {
            Readers::Everyone => 0o644,
            Readers::Owner => 0o600,
        },
    );
    #[cfg(not(unix))]
    let _ = readers;
    let written = options.open(&temporary).and_then(|mut file| file.write_all(text.as_bytes()));
    let replaced = written.and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        // The original error is more useful than an error from this cleanup.
        let _ = fs::remove_file(&temporary);
    }
    replaced
}
