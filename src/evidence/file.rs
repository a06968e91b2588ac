//! The on-disk form of a snapshot: a line that names format and version, then gzip-compressed JSON.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::Snapshot;

/// Rises when an older build could misread the content.
pub const VERSION: u32 = 1;
const MAGIC: &str = "medusa-advisor.snapshot/";
/// A decompressed snapshot larger than this is refused: it would be a decompression bomb or a defect.
const BYTES_MAX: u64 = 512 * 1024 * 1024;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FileError {
    #[error("This is not a Medusa Advisor snapshot. Choose a file that ends in .snapshot.")]
    NotASnapshot,
    #[error("The snapshot was written by a newer version (format {found}, this one reads up to {VERSION}). Update Medusa Advisor to open it.")]
    TooNew { found: u32 },
    #[error(
        "The snapshot is incomplete or damaged: {detail}. It was probably cut off while being written or copied. Copy it again or run the audit again."
    )]
    Damaged { detail: String },
}

/// Bytes of a snapshot file.
pub fn write(snapshot: &Snapshot) -> Vec<u8> {
    let mut out = format!("{MAGIC}{VERSION}\n").into_bytes();
    let mut gzip = GzEncoder::new(&mut out, Compression::default());
    let json = serde_json::to_vec(snapshot).expect("a snapshot holds only strings, numbers and lists");
    gzip.write_all(&json).and_then(|()| gzip.try_finish()).expect("writing to memory does not fail");
    drop(gzip);
    out
}

/// Reads what [`write()`] wrote. Takes any bytes.
pub fn read(bytes: &[u8]) -> Result<Snapshot, FileError> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or(FileError::NotASnapshot)?;
    let end = rest.iter().take(12).position(|b| *b == b'\n').ok_or(FileError::NotASnapshot)?;
    let version = std::str::from_utf8(&rest[..end]).ok().and_then(|s| s.parse::<u32>().ok()).ok_or(FileError::NotASnapshot)?;
    if version > VERSION {
        return Err(FileError::TooNew { found: version });
    }
    let damaged = |detail: String| FileError::Damaged { detail };
    let mut json = Vec::new();
    GzDecoder::new(&rest[end + 1..]).take(BYTES_MAX).read_to_end(&mut json).map_err(|e| damaged(e.to_string()))?;
    serde_json::from_slice(&json).map_err(|e| damaged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Meta, Targets};
    use time::macros::datetime;

    fn snapshot() -> Snapshot {
        Snapshot::empty(Meta {
            tool_version: "0.1.0".into(),
            store: "Example".into(),
            environment: "demo".into(),
            taken_at: datetime!(2026-11-23 09:30 UTC),
            window_s: 30.0,
            window_asked_s: 30.0,
            cancelled: false,
            targets: Targets::default(),
        })
    }

    #[test]
    fn file_and_snapshot_are_one() {
        let s = snapshot();
        assert_eq!(read(&write(&s)), Ok(s));
    }

    #[test]
    fn a_cut_file_says_so_at_every_length() {
        let bytes = write(&snapshot());
        for n in 0..bytes.len() {
            assert!(matches!(read(&bytes[..n]), Err(FileError::NotASnapshot | FileError::Damaged { .. })), "cut at {n}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        assert_eq!(read(b"medusa-advisor.snapshot/99\nx"), Err(FileError::TooNew { found: 99 }));
        assert_eq!(read(b"%PDF-1.7"), Err(FileError::NotASnapshot));
    }
}
