//! Small files of the data directory: read with a limit, written whole or not at all.

use super::error::Error;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Largest file read here.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How much of a log's end is shown.
const TAIL_BYTES: u64 = 8 * 1024;
const TAIL_LINES: usize = 12;

/// The file's text, or `None` if there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::File {
        path: path.into(),
        action: "read",
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(Some(text))
}

/// The file's JSON, or `None` if there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    read(path)?
        .map(|text| {
            serde_json::from_str(&text).map_err(|error| Error::Content {
                path: path.into(),
                reason: error.to_string(),
            })
        })
        .transpose()
}

/// Writes a file that only its owner may read: first beside it, then renamed over it.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::File {
        path: path.into(),
        action: "written",
        source,
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

/// [`write`], as JSON.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Error::Content {
        path: path.into(),
        reason: error.to_string(),
    })?;
    text.push('\n');
    write(path, &text)
}

/// Removes a file, if there is one.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::File {
            path: path.into(),
            action: "removed",
            source,
        }),
        _ => Ok(()),
    }
}

/// Makes a directory and its parents.
pub fn directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::File {
        path: path.into(),
        action: "made",
        source,
    })
}

/// Sets a file of an earlier run aside, as `NAME.old`.
pub fn set_aside(path: &Path) -> Result<(), Error> {
    match fs::rename(path, path.with_extension("old")) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::File {
            path: path.into(),
            action: "set aside",
            source,
        }),
        _ => Ok(()),
    }
}

/// How a log ends: the sentence with which the program gave up, or else its last lines.
pub fn end_of_log(path: &Path) -> String {
    let text = match end(path) {
        Ok(text) => text,
        Err(error) => return format!("(not readable: {error})"),
    };
    let lines: Vec<_> = text.lines().collect();
    if let Some(sentence) = lines.last().and_then(|line| line.strip_prefix("error: ")) {
        return sentence.to_owned();
    }
    lines
        .iter()
        .skip(lines.len().saturating_sub(TAIL_LINES))
        .map(|line| format!("\n  {line}"))
        .collect()
}

fn end(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
