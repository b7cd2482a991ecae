//! Tells the program from which commit it was built.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn main() {
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let mut directives = format!("cargo::rustc-env=MILEVERSE_COMMIT={commit}\n");
    // Grows with every commit, and changes with every checkout.
    if let Some(log) = git(&[
        "rev-parse",
        "--path-format=absolute",
        "--git-path",
        "logs/HEAD",
    ]) {
        directives.push_str(&format!("cargo::rerun-if-changed={log}\n"));
    }
    directives.push_str("cargo::rerun-if-changed=build.rs\n");
    let _ = std::io::Write::write_all(&mut std::io::stdout(), directives.as_bytes());
}
