//! Finds anvil, and installs it from the project's lockfile if it is not there yet.
//!
//! npm's wrapper scripts hide exit codes and leave orphans, so the platform's own program is used.

use super::{error::Error, files, layout::Layout, progress::Progress};
use serde::Deserialize;
use std::{
    env,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const ANVIL: &str = "node_modules/@foundry-rs/anvil";

#[derive(Debug, Deserialize)]
struct Package {
    version: String,
}

#[derive(Debug, Deserialize)]
struct Lockfile {
    packages: std::collections::BTreeMap<String, serde_json::Value>,
}

/// The anvil program at the pinned version.
pub fn anvil(layout: &Layout, progress: &Progress) -> Result<PathBuf, Error> {
    let contracts = contracts()?;
    if let Some(program) = installed(&contracts)? {
        return Ok(program);
    }
    let task = progress.begin("installing anvil and the contract tools (npm ci)");
    match npm_ci(&contracts, layout) {
        Ok(()) => task.done("contract tools installed"),
        Err(error) => {
            task.failed("npm ci");
            return Err(error);
        }
    }
    installed(&contracts)?.ok_or(Error::Npm {
        path: contracts,
        reason: "anvil is not among the packages, or not for this platform".into(),
    })
}

/// `contracts/` here, in a parent, or where the program was built.
fn contracts() -> Result<PathBuf, Error> {
    let here = env::current_dir().map_err(|source| Error::System {
        what: "the current directory",
        source,
    })?;
    here.ancestors()
        .chain([Path::new(env!("CARGO_MANIFEST_DIR"))])
        .map(|folder| folder.join("contracts"))
        .find(|folder| folder.join("package-lock.json").is_file())
        .ok_or(Error::NoContracts)
}

/// The program, if it is there and has the lockfile's version.
fn installed(contracts: &Path) -> Result<Option<PathBuf>, Error> {
    let lockfile: Option<Lockfile> = files::read_json(&contracts.join("package-lock.json"))?;
    let pinned = lockfile.and_then(|lockfile| {
        let version = lockfile.packages.get(ANVIL)?.get("version")?;
        version.as_str().map(str::to_owned)
    });
    let package: Option<Package> = files::read_json(&contracts.join(ANVIL).join("package.json"))?;
    if package.map(|package| package.version) != pinned {
        return Ok(None);
    }
    let Ok(folders) = fs::read_dir(contracts.join("node_modules/@foundry-rs")) else {
        return Ok(None);
    };
    Ok(folders
        .flatten()
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("anvil-"))
        .map(|folder| folder.path().join("bin/anvil"))
        .find(|program| program.is_file()))
}

fn npm_ci(contracts: &Path, layout: &Layout) -> Result<(), Error> {
    let path = layout.log("npm");
    let failed = |source| Error::File {
        path: path.clone(),
        action: "written",
        source,
    };
    let log = File::create(&path).map_err(failed)?;
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(contracts)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log)
        .status()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::NoNode,
            _ => Error::Npm {
                path: contracts.into(),
                reason: error.to_string(),
            },
        })?;
    if status.success() {
        return Ok(());
    }
    // npm is a script of Node's: env answers 127 when it does not find it.
    if status.code() == Some(127) {
        return Err(Error::NoNode);
    }
    Err(Error::Npm {
        path: contracts.into(),
        reason: format!("{status}; its output is in {}", path.display()),
    })
}
